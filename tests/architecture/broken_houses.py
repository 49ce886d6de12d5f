"""Houses that break a rule: which rule, the files, and where the finding is."""

from tests.architecture.floors import FILE_LIMIT, FUNCTION_LIMIT, KERNEL_LIMIT

Files = dict[str, str]

BROKEN: tuple[tuple[str, Files, str], ...] = (
    ("every-room-has-a-floor", {"oneiric/attic/x.py": ""}, "oneiric/attic/x.py:1: "),
    ("every-room-has-a-floor", {"oneiric/misc.py": ""}, "oneiric/misc.py:1: "),
    (
        "imports-go-down",
        {"oneiric/core/a.py": "\nfrom oneiric.runs.plan import Plan\n"},
        "oneiric/core/a.py:2: ",
    ),
    (
        "imports-go-down",
        {"oneiric/gateway/a.py": "from ..recipes import x\n"},
        "oneiric/gateway/a.py:1: ",
    ),
    (
        "imports-go-down",
        {
            "oneiric/stores/a.py": "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n"
            "    import oneiric.config.load\n"
        },
        "oneiric/stores/a.py:3: ",
    ),
    (
        "imports-go-down",
        {"oneiric/cli/a.py": "def f():\n    from oneiric import Resolver\n"},
        "oneiric/cli/a.py:2: ",
    ),
    ("imports-go-down", {"oneiric/errors.py": "import oneiric.clock\n"}, "oneiric/errors.py:1: "),
    (
        "imports-form-no-cycle",
        {
            "oneiric/core/a.py": "from oneiric.core import b\n",
            "oneiric/core/b.py": "from oneiric.core.c import x\n",
            "oneiric/core/c.py": "import oneiric.core.a\n",
        },
        "oneiric/core/",
    ),
    ("kernel-sees-no-outside", {"oneiric/core/a.py": "import os.path\n"}, "oneiric/core/a.py:1: "),
    (
        "kernel-sees-no-outside",
        {"oneiric/runs/a.py": "from urllib import request\n"},
        "oneiric/runs/a.py:1: ",
    ),
    (
        "kernel-sees-no-outside",
        {"oneiric/ports/a.py": "import datetime\nx = datetime.datetime.now()\n"},
        "oneiric/ports/a.py:2: ",
    ),
    (
        "kernel-sees-no-outside",
        {"oneiric/core/a.py": "def f():\n    return open('x')\n"},
        "oneiric/core/a.py:2: ",
    ),
    (
        "kernel-sees-no-outside",
        {"oneiric/core/a.py": "async def f():\n    await asyncio.sleep(1)\n"},
        "oneiric/core/a.py:2: ",
    ),
    (
        "kernel-sees-no-outside",
        {"oneiric/core/a.py": "def f():\n    return importlib.import_module('socket')\n"},
        "oneiric/core/a.py:2: ",
    ),
    (
        "kernel-sees-no-outside",
        {"oneiric/ports/a.py": "x = __import__('os')\n"},
        "oneiric/ports/a.py:1: ",
    ),
    (
        "late-imports-are-rare",
        {"oneiric/runs/a.py": "def f(name):\n    return import_module(name)\n"},
        "oneiric/runs/a.py:2: ",
    ),
    (
        "kernel-sees-no-outside",
        {"oneiric/core/a.py": "\nnow = asyncio.get_running_loop().time()\n"},
        "oneiric/core/a.py:2: ",
    ),
    (
        "kernel-sees-no-outside",
        {"oneiric/runs/a.py": "clock = self._loop.time\n"},
        "oneiric/runs/a.py:1: ",
    ),
    (
        "kernel-sees-no-outside",
        {"oneiric/core/a.py": "loop.call_later(1, f)\n"},
        "oneiric/core/a.py:1: ",
    ),
    (
        "kernel-sees-no-outside",
        {"oneiric/core/a.py": "async def f():\n    async with asyncio.timeout(1): ...\n"},
        "oneiric/core/a.py:2: ",
    ),
    (
        "kernel-sees-no-outside",
        {"oneiric/runs/a.py": "from asyncio import wait_for\n"},
        "oneiric/runs/a.py:1: ",
    ),
    (
        "kernel-sees-no-outside",
        {"oneiric/core/guard.py": "async def f():\n    await asyncio.sleep(1)\n"},
        "oneiric/core/guard.py:2: ",
    ),
    (
        "libraries-have-one-door",
        {"oneiric/web/a.py": "x = import_module('yaml.events')\n"},
        "oneiric/web/a.py:1: ",
    ),
    (
        "imports-go-down",
        {"oneiric/core/a.py": "x = import_module(name='oneiric.cli.app')\n"},
        "oneiric/core/a.py:1: ",
    ),
    (
        "late-imports-are-rare",
        {"oneiric/stores/a.py": "def f():\n    return __import__('json')\n"},
        "oneiric/stores/a.py:2: ",
    ),
    ("libraries-have-one-door", {"oneiric/web/a.py": "import yaml\n"}, "oneiric/web/a.py:1: "),
    (
        "libraries-have-one-door",
        {"oneiric/recipes/run.py": "from aiohttp import web\n"},
        "oneiric/recipes/run.py:1: ",
    ),
    (
        "late-imports-are-rare",
        {"oneiric/stores/a.py": "def f():\n    import json\n"},
        "oneiric/stores/a.py:2: ",
    ),
    ("tests-are-not-imported", {"oneiric/core/a.py": "import tests.x\n"}, "oneiric/core/a.py:1: "),
    (
        "environment-is-read-at-the-door",
        {"oneiric/web/a.py": "import os\nx = os.environ['A']\n"},
        "oneiric/web/a.py:2: ",
    ),
    (
        "environment-is-read-at-the-door",
        {"oneiric/web/a.py": "from os import getenv\n"},
        "oneiric/web/a.py:1: ",
    ),
    (
        "environment-is-read-at-the-door",
        {"oneiric/web/a.py": "import os\nx = os.path.expandvars('$A')\n"},
        "oneiric/web/a.py:2: ",
    ),
    (
        "environment-is-read-at-the-door",
        {"oneiric/web/a.py": "from os.path import expanduser\n"},
        "oneiric/web/a.py:1: ",
    ),
    (
        "environment-is-read-at-the-door",
        {"oneiric/cli/a.py": "import pathlib\nx = pathlib.Path.home()\n"},
        "oneiric/cli/a.py:2: ",
    ),
    (
        "environment-is-read-at-the-door",
        {"oneiric/web/a.py": "x = Path('~').expanduser()\n"},
        "oneiric/web/a.py:1: ",
    ),
    (
        "broad-excepts-are-named",
        {"oneiric/web/a.py": "try:\n    pass\nexcept (KeyError, Exception):\n    pass\n"},
        "oneiric/web/a.py:3: ",
    ),
    (
        "broad-excepts-are-named",
        {"oneiric/web/a.py": "try:\n    pass\nexcept:\n    pass\n"},
        "oneiric/web/a.py:3: ",
    ),
    (
        "broad-excepts-are-named",
        {"oneiric/web/a.py": "with suppress(Exception):\n    pass\n"},
        "oneiric/web/a.py:1: ",
    ),
    (
        "broad-excepts-are-named",
        {"oneiric/core/guard.py": "try:\n    pass\nexcept Exception:  # noqa: BLE001\n    pass\n"},
        "oneiric/core/guard.py:3: ",
    ),
    ("modules-hold-no-state", {"oneiric/web/a.py": "cache = {}\n"}, "oneiric/web/a.py:1: "),
    ("modules-hold-no-state", {"oneiric/web/a.py": "NAMES = []\n"}, "oneiric/web/a.py:1: "),
    (
        "modules-hold-no-state",
        {"oneiric/web/a.py": "seen: set[str] = set()\n"},
        "oneiric/web/a.py:1: ",
    ),
    (
        "modules-hold-no-state",
        {"oneiric/web/a.py": "def f():\n    global x\n"},
        "oneiric/web/a.py:2: ",
    ),
    (
        "tasks-have-an-owner",
        {"oneiric/web/a.py": "asyncio.create_task(x())\n"},
        "oneiric/web/a.py:1: ",
    ),
    (
        "tasks-have-an-owner",
        {"oneiric/web/a.py": "asyncio.get_running_loop().create_task(x())\n"},
        "oneiric/web/a.py:1: ",
    ),
    *(
        (
            "composing-is-for-the-root",
            {f"oneiric/{room}/a.py": f"\ndef f():\n    return {made}\n"},
            f"oneiric/{room}/a.py:3: ",
        )
        for room in ("cli", "demo", "domains")
        for made in (
            "Resolver()",
            "Registry()",
            "LifecycleManager(resolver)",
            "lifecycle.LifecycleManager(resolver)",
            "RuntimeOrchestrator()",
            "RuntimeOrchestrator.open(folder=here)",
            "RunEngine(bodies)",
            "SqliteJournal(path)",
            "MemoryJournal(clock)",
            "SelectionStore(path)",
            "EventBridge(domain, lifecycle)",
        )
    ),
    *(
        (
            "commands-compose-nothing",
            {f"oneiric/{room}/a.py": f"def f():\n    from {module} import X\n"},
            f"oneiric/{room}/a.py:2: ",
        )
        for room in ("cli", "demo")
        for module in ("oneiric.adapters.cache.memory", "oneiric.actions.http", "oneiric.config")
    ),
    (
        "commands-compose-nothing",
        {"oneiric/demo/a.py": "import oneiric.stores.selections\n"},
        "oneiric/demo/a.py:1: ",
    ),
    (
        "commands-compose-nothing",
        {"oneiric/demo/fulfillment/a.py": "from oneiric.stores.journal import X\n"},
        "oneiric/demo/fulfillment/a.py:1: ",
    ),
    (
        "commands-compose-nothing",
        {"oneiric/demo/a.py": "from oneiric.stores.database import writing\n"},
        "oneiric/demo/a.py:1: ",
    ),
    (
        "imports-do-nothing",
        {"oneiric/web/a.py": "import logging\n\nlogging.basicConfig()\n"},
        "oneiric/web/a.py:3: ",
    ),
    (
        "imports-do-nothing",
        {"oneiric/web/a.py": "try:\n    install()\nexcept OSError:\n    pass\n"},
        "oneiric/web/a.py:2: ",
    ),
    (
        "imports-do-nothing",
        {"oneiric/web/a.py": "class A:\n    install()\n"},
        "oneiric/web/a.py:2: ",
    ),
    (
        "imports-do-nothing",
        {"oneiric/web/a.py": "with open('x') as f:\n    X = f.name\n"},
        "oneiric/web/a.py:1: ",
    ),
    ("only-commands-print", {"oneiric/web/a.py": "print(1)\n"}, "oneiric/web/a.py:1: "),
    (
        "names-say-what-things-are",
        {"oneiric/web/a.py": "\nclass CacheHelper:\n    pass\n"},
        "oneiric/web/a.py:2: ",
    ),
    ("names-say-what-things-are", {"oneiric/web/utils.py": ""}, "oneiric/web/utils.py:1: "),
    (
        "files-are-short",
        {"oneiric/web/a.py": "x = 1\n" * (FILE_LIMIT + 1)},
        "oneiric/web/a.py:1: ",
    ),
    (
        "functions-are-short",
        {"tests/a.py": "\ndef f():\n" + "    x = 1\n" * FUNCTION_LIMIT},
        "tests/a.py:2: ",
    ),
    (
        "kernel-is-small",
        {"oneiric/core/a.py": "x = 1\n" * KERNEL_LIMIT, "oneiric/runs/b.py": "x = 1\n"},
        "oneiric/core/a.py:1: ",
    ),
    ("public-names-are-documented", {"oneiric/web/a.py": ""}, "oneiric/web/a.py:1: "),
    (
        "public-names-are-documented",
        {"oneiric/web/a.py": '"""A."""\ndef f(): ...\n'},
        "oneiric/web/a.py:2: ",
    ),
    (
        "public-names-are-documented",
        {"oneiric/web/a.py": '"""A."""\nclass A(B):\n    """A."""\n    def f(self): ...\n'},
        "oneiric/web/a.py:4: ",
    ),
    (
        "kernel-signatures-are-typed",
        {"oneiric/core/a.py": "\ndef f(x: 'list[Any]') -> None: ...\n"},
        "oneiric/core/a.py:2: ",
    ),
    (
        "kernel-signatures-are-typed",
        {"oneiric/runs/a.py": "def f(**more: typing.Any) -> None: ...\n"},
        "oneiric/runs/a.py:1: ",
    ),
    ("tests-state-their-promise", {"tests/a.py": "def test_x(): ...\n"}, "tests/a.py:1: "),
)
