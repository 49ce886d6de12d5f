"""Every example runs: prompts in docstrings and on pages, and fenced blocks of Python."""

import doctest
import importlib
from pathlib import Path

import pytest

from tests.architecture.source import PACKAGE, ROOT
from tests.docs.examples import ExampleError, run_page, run_session
from tests.docs.markdown import GENERATED, pages
from tests.docs.names import docstring_names


def _modules_with_prompts() -> list[str]:
    files = sorted((ROOT / PACKAGE).rglob("*.py"))
    with_prompts = [file for file in files if ">>>" in file.read_text(encoding="utf-8")]
    names = [file.relative_to(ROOT).with_suffix("").as_posix() for file in with_prompts]
    return [name.removesuffix("/__init__").replace("/", ".") for name in names]


def _pages() -> list[str]:
    written = [page for page in pages() if GENERATED not in page.read_text(encoding="utf-8")]
    return [page.relative_to(ROOT).as_posix() for page in written]


@pytest.mark.parametrize("name", _modules_with_prompts())
def test_prompts_in_docstrings_give_what_they_say(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each docstring's session runs in its module's own names and a few common ones."""
    module = importlib.import_module(name)
    monkeypatch.chdir(tmp_path)
    for session in doctest.DocTestFinder(exclude_empty=True).find(module, name):
        session.globs = docstring_names() | session.globs
        failures = run_session(session)
        if failures:
            pytest.fail(failures, pytrace=False)


@pytest.mark.parametrize("page", _pages())
def test_examples_on_a_page_run(page: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A page's examples run from top to bottom and print what the page shows."""
    monkeypatch.chdir(tmp_path)
    run_page(page, (ROOT / page).read_text(encoding="utf-8"))


def test_a_page_shares_names_awaits_and_shows_its_output() -> None:
    """Blocks see each other's names, may await, and are compared with the text below."""
    text = (
        "```python\nimport asyncio\n\nasync def two() -> int:\n    return 2\n```\n"
        "Then:\n\n```python\nx = await two()\nprint(x)\n```\n\n```text\n2\n```\n"
        "```pycon\n>>> x + 1\n3\n```\n"
    )
    assert run_page("page.md", text) == 3


def test_a_page_keeps_its_files_and_runs_its_transcripts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A block that names a file is written there; what follows `$ ` is typed."""
    monkeypatch.chdir(tmp_path)
    text = (
        "```python\n# two.py\nimport os\n\nprint(os.environ['ONEIRIC_N'], 2)\n```\n"
        "```console\n$ ONEIRIC_N=1 python two.py  # at once\n1 2\n$ make run\nnever run\n```\n"
    )
    assert run_page("page.md", text) == 1
    wrong = "```console\n$ python -c 'print(1)'\n2\n```\n"
    with pytest.raises(ExampleError) as caught:
        run_page("page.md", wrong)
    assert str(caught.value).startswith("page.md:1: \"python -c 'print(1)'\" prints\n1\n")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("\n```python\n\nx = 1 / 0\n```\n", "page.md:4: ZeroDivisionError"),
        ("```python\nx = (\n```\n", "page.md:1: SyntaxError"),
        ("```python\nprint(1)\n```\n```text\n2\n```\n", "page.md:4: the block above prints\n1"),
        ("```pycon\n>>> 1\n2\n```\n", "page.md:1: "),
        ("```python no-run\nx\n```\n", "page.md:1: a block may not be 'python no-run'"),
        ("```python\nx = 1\n", "page.md:1: a block may not be 'unclosed'"),
        (">>> 1\n2\n", "page.md:1: a >>> prompt outside"),
    ],
)
def test_a_wrong_example_is_told_with_page_and_line(text: str, message: str) -> None:
    """An example that fails, differs or would never run is an error, and says where."""
    with pytest.raises(ExampleError) as caught:
        run_page("page.md", text)
    assert str(caught.value).startswith(message)
