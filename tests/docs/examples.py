"""Run the examples of a page, as its reader would: top to bottom, in one namespace."""

import ast
import asyncio
import doctest
import inspect
import io
import re
import sys
from contextlib import redirect_stdout
from pathlib import Path
from types import CodeType, ModuleType

from tests.docs.markdown import Block, blocks, prose
from tests.docs.transcripts import file_in, output_of, typed

NAMESPACE = "example_page"
OPTIONS = doctest.ELLIPSIS

_WIDE = re.compile(" {2,}")


class ExampleError(AssertionError):
    """An example that cannot run, or says something else than its page: page, line, what."""

    def __init__(self, page: str, line: int, what: str) -> None:
        super().__init__(f"{page}:{line}: {what}")


def run_page(page: str, text: str) -> int:
    """Run every python, pycon and console block of *text*; return how many ran.

    A `text` block right after a python block is what that block prints. Await
    may stand at the top level. A block whose first line names a file, as in
    `# oneiric.toml`, is written there and not run. A console block is what one
    types after `$ ` and sees: `oneiric` and `python` run in the working folder,
    `...` stands for anything, and other commands are only shown.

    Raises:
        ExampleError: an example failed or printed something else.
    """
    if any(line.lstrip().startswith(">>>") for line in prose(text).splitlines()):
        raise ExampleError(page, 1, "a >>> prompt outside a ```pycon block is never run")
    module = ModuleType(NAMESPACE)
    sys.modules[NAMESPACE] = module
    count, printed = 0, ""
    try:
        with asyncio.Runner() as runner:
            for block in blocks(text):
                if file_in(block.text) and block.language != "console":
                    Path(file_in(block.text)).write_text(block.text, encoding="utf-8")
                    printed = ""
                elif block.language == "console":
                    _run_transcript(page, block)
                    count, printed = count + 1, ""
                elif block.language in {"python", "pycon"}:
                    run = _run_python if block.language == "python" else _run_session
                    printed = run(page, block, module, runner)
                    count += 1
                elif block.language == "text" and block.follows and count:
                    _compare(page, block, printed)
                elif block.language.startswith(("python", "py ", "pycon", "unclosed")):
                    raise ExampleError(page, block.line, f"a block may not be {block.language!r}")
                else:
                    printed = ""
    finally:
        del sys.modules[NAMESPACE]
    return count


def _run_python(page: str, block: Block, module: ModuleType, runner: asyncio.Runner) -> str:
    out = io.StringIO()
    source = "\n" * block.line + block.text
    flags = ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
    try:
        code: CodeType = compile(source, page, "exec", flags, dont_inherit=True)
        with redirect_stdout(out):
            result = eval(code, module.__dict__)
            if code.co_flags & inspect.CO_COROUTINE:
                runner.run(result)
    except Exception as error:
        line = _line_of(error, page) or block.line
        raise ExampleError(page, line, f"{type(error).__name__}: {error}") from error
    return out.getvalue()


def _line_of(error: BaseException, page: str) -> int:
    lines = []
    trace = error.__traceback__
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == page:
            lines.append(trace.tb_lineno)
        trace = trace.tb_next
    return lines[-1] if lines else 0


def _run_session(page: str, block: Block, module: ModuleType, _: asyncio.Runner) -> str:
    session = doctest.DocTestParser().get_doctest(
        block.text, module.__dict__, page, page, block.line
    )
    failed = run_session(session)
    module.__dict__.update(session.globs)
    if failed:
        raise ExampleError(page, block.line, failed)
    return ""


def run_session(session: doctest.DocTest) -> str:
    """Run the prompts of one docstring or block; return the report of what failed."""
    out = io.StringIO()
    runner = doctest.DocTestRunner(verbose=False, optionflags=OPTIONS)
    runner.run(session, out=out.write, clear_globs=False)
    return out.getvalue()


def _run_transcript(page: str, block: Block) -> None:
    for each in typed(block.text):
        if each.runs:
            printed = output_of(each, Path.cwd())
            pages = (each.printed, printed)
            if "...\n" in each.printed:  # rows that are left out may widen the columns
                pages = (_WIDE.sub("  ", each.printed), _WIDE.sub("  ", printed))
            if not doctest.OutputChecker().check_output(*pages, OPTIONS):
                what = f"{each.command!r} prints\n{printed}\nbut the page says\n{each.printed}"
                raise ExampleError(page, block.line, what)


def _compare(page: str, block: Block, printed: str) -> None:
    if printed.rstrip() != block.text.rstrip():
        what = f"the block above prints\n{printed}\nbut the page says\n{block.text}"
        raise ExampleError(page, block.line, what)
