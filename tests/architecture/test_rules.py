"""Each rule finds what breaks it, and says where: tried on made-up houses."""

from pathlib import Path

import pytest

from tests.architecture.broken_houses import BROKEN, Files
from tests.architecture.source import build_house, report
from tests.architecture.test_house import RULES, Rule

ALLOWED: tuple[tuple[str, Files], ...] = (
    (
        "imports-go-down",
        {
            "oneiric/__init__.py": "import oneiric.cli.app\n",
            "oneiric/core/a.py": "from oneiric.core import b\nfrom oneiric.errors import X\n",
            "oneiric/core/b.py": "",
        },
    ),
    (
        "imports-form-no-cycle",
        {
            "oneiric/core/a.py": "def f():\n    import oneiric.core.b\n",
            "oneiric/core/b.py": "import oneiric.core.a\nimport oneiric.core.c\n",
            "oneiric/core/c.py": "if TYPE_CHECKING:\n    import oneiric.core.b\n",
        },
    ),
    (
        "kernel-sees-no-outside",
        {
            "oneiric/core/a.py": "import urllib.parse, asyncio\nx = asyncio.sleep(0)\n",
            "oneiric/core/b.py": "import_module('json')\nnow = clock.time()\n",
            "oneiric/core/guard.py": "now = asyncio.get_running_loop().time\n",
        },
    ),
    (
        "late-imports-are-rare",
        {"oneiric/targets.py": "def f(name):\n    return import_module(name)\n"},
    ),
    (
        "environment-is-read-at-the-door",
        {"oneiric/config/load.py": "import os\nx = os.environ, os.path.expanduser('~')\n"},
    ),
    (
        "libraries-have-one-door",
        {
            "oneiric/adapters/cache/sqlite.py": "import sqlite3\n",
            "oneiric/gateway/app.py": "import aiohttp\n",
        },
    ),
    (
        "broad-excepts-are-named",
        {
            "oneiric/core/a.py": "try:\n    pass\nexcept BaseException:\n    undo()\n    raise\n",
            "oneiric/core/guard.py": "try:\n    pass\n"
            "except Exception:  # noqa: BLE001 - foreign code may raise anything\n    pass\n",
        },
    ),
    (
        "modules-hold-no-state",
        {"oneiric/web/a.py": "__all__ = ['a']\nTABLE: Mapping[str, int] = {'a': 1}\nX = (1,)\n"},
    ),
    ("tasks-have-an-owner", {"oneiric/web/a.py": "group.create_task(x())\n"}),
    (
        "composing-is-for-the-root",
        {
            "oneiric/runtime/orchestrator.py": "x = LifecycleManager(Resolver())\n",
            "oneiric/demo/story.py": "x = RuntimeOrchestrator.open(plugins=())\n",
            "oneiric/cli/a.py": "def f(resolver: Resolver): return resolver.explain('a:b')\n",
        },
    ),
    (
        "commands-compose-nothing",
        {
            "oneiric/cli/a.py": "from oneiric.runtime.operator import Operator\n"
            "from oneiric.text.layout import x\nif TYPE_CHECKING:\n"
            "    from oneiric.stores.journal import Y\n",
        },
    ),
    (
        "imports-do-nothing",
        {
            "oneiric/web/a.py": '"""A."""\nX = frozenset(())\ndef f():\n    install()\n'
            "if __name__ == '__main__':\n    f()\n",
        },
    ),
    (
        "public-names-are-documented",
        {
            "oneiric/web/a.py": '"""A."""\nclass A:\n    """A."""\n    def f(self):\n'
            '        """Do."""\n',
            "oneiric/web/b.py": '"""B."""\nclass B(a.A[int]):\n    """B."""\n    def f(self): ...\n'
            "    def __len__(self): ...\n",
        },
    ),
    (
        "kernel-signatures-are-typed",
        {
            "oneiric/core/a.py": "def f(x: ComponentRef[Any]) -> object: ...\n"
            "def _g(x: Any) -> None: ...\n"
        },
    ),
    (
        "files-are-short",
        {"oneiric/web/a.py": '"""A.\n\n' + "words\n" * 500 + '"""\n' + "# no\n" * 500},
    ),
)


@pytest.mark.parametrize(("name", "files", "place"), BROKEN)
def test_broken_rule_is_reported_with_file_line_and_rule(
    name: str, files: Files, place: str, tmp_path: Path
) -> None:
    """A house that breaks a rule is told where and which, in one line."""
    found = report(_rule(name)(build_house(tmp_path, files)))
    assert found.startswith(place)
    assert f": {name}: " in found
    assert len(found.splitlines()) == 1


@pytest.mark.parametrize(("name", "files"), ALLOWED)
def test_what_a_rule_allows_is_not_reported(name: str, files: Files, tmp_path: Path) -> None:
    """The exceptions that a rule states are no findings."""
    assert report(_rule(name)(build_house(tmp_path, files))) == ""


def test_every_rule_has_a_house_that_breaks_it() -> None:
    """No rule goes untried."""
    tried = {name for name, _, _ in BROKEN}
    assert {rule.__name__.replace("_", "-") for rule in RULES} == tried


def _rule(name: str) -> Rule:
    return next(rule for rule in RULES if rule.__name__ == name.replace("-", "_"))
