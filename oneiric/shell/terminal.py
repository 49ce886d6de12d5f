"""IPython at the terminal: names, magics, completion, and errors in one line."""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from types import FrameType, TracebackType
from typing import TYPE_CHECKING, Any

from IPython.core.completer import SimpleCompletion, context_matcher
from IPython.core.magic import no_var_expand
from IPython.terminal.interactiveshell import TerminalInteractiveShell
from rich.console import Console
from rich.text import Text
from traitlets.config import Config

from oneiric.errors import OneiricError
from oneiric.shell.magics import MAGICS, completions
from oneiric.shell.tables import rendered
from oneiric.text.printable import printable

if TYPE_CHECKING:
    from IPython.core.completer import CompletionContext, SimpleMatcherResult

    from oneiric.shell.admin import AdminShell
    from oneiric.shell.loop import LoopThread
    from oneiric.shell.verbs import Verbs

PIPED_WIDTH = 1_000


class Terminal:
    """Lead a person's lines to IPython, and what the magics answer back.

    Args:
        admin: whose names and magics there are.
        verbs: who does what the magics ask for.
        loop: where awaits are awaited.
    """

    def __init__(self, admin: AdminShell, verbs: Verbs, loop: LoopThread) -> None:
        self._admin = admin
        self._verbs = verbs
        self._loop = loop
        self._exit_code = 0

    def run(self, text: str = "") -> int:
        """Run *text*, or lines until the person leaves, and return an exit code."""
        with ExitStack() as stack:
            shell = self._made(stack, is_short=bool(text))
            try:
                return self._once(shell, text) if text else self._led(shell)
            finally:
                shell.restore_sys_module_state()
                TerminalInteractiveShell.clear_instance()

    def _made(self, stack: ExitStack, *, is_short: bool) -> Any:
        config, where = Config(), {}
        config.TerminalInteractiveShell.banner1 = self._banner()
        config.TerminalInteractiveShell.confirm_exit = False
        config.TerminalInteractiveShell.term_title_format = "oneiric: {cwd}"
        if not sys.stdout.isatty():
            config.TerminalInteractiveShell.colors = "nocolor"
        if is_short:  # which leaves nothing behind
            config.HistoryManager.enabled = False
            where = {"ipython_dir": stack.enter_context(TemporaryDirectory())}
        names = self._admin.namespace()
        shell: Any = TerminalInteractiveShell.instance(config=config, user_ns=names, **where)
        shell.loop_runner = self._loop
        shell.set_custom_exc((OneiricError,), self._tell)
        for name, magic in MAGICS.items():
            self._register(shell, name, partial(magic, name, self._verbs), magic.summary)
        for name, function in type(self._admin).magics.items():
            summary = function.__doc__ or "A magic of this shell's own."
            self._register(shell, name, partial(function, self._admin), summary)
        shell.Completer.custom_matchers.insert(0, self._matcher())
        return shell

    def _once(self, shell: Any, text: str) -> int:
        result = shell.run_cell(text, store_history=False)
        error = result.error_before_exec or result.error_in_exec
        match error:
            case None:
                return self._exit_code
            case KeyboardInterrupt():
                raise error
            case SystemExit(code=code):
                return code if isinstance(code, int) else 0 if code is None else 1
            case OneiricError():
                return error.exit_code
        return 1

    def _led(self, shell: Any) -> int:
        def end(number: int, frame: FrameType | None) -> None:
            shell.ask_exit()
            raise SystemExit(0)

        before = signal.signal(signal.SIGTERM, end)
        try:
            shell.show_banner()
            shell.mainloop()
        except SystemExit:  # it was told to end
            return 0
        finally:
            signal.signal(signal.SIGTERM, before)
        return 0

    def _banner(self) -> str:
        folder = Path(self._admin.runtime.config.folder).resolve()
        where = "attached to the orchestrator that runs here" if self._is_live else "in-process"
        names = ", ".join(sorted(self._admin.namespace()))
        magics = ", ".join(f"%{name}" for name in (*MAGICS, *type(self._admin).magics))
        return f"oneiric in {folder}, {where}\nnames: {names}\nmagics: {magics}\n\n"

    @property
    def _is_live(self) -> bool:
        return self._verbs.applied == "live"

    def _register(self, shell: Any, name: str, function: Callable[[str], Any], told: str) -> None:
        def magic(line: str) -> None:
            self._show(function(line))

        magic.__doc__ = told
        as_written: Any = no_var_expand
        shell.register_magic_function(as_written(magic), "line", name)

    def _show(self, said: Any) -> None:
        if said is None:
            return
        is_text = isinstance(said, str)
        console = Console(width=None if sys.stdout.isatty() else PIPED_WIDTH, highlight=False)
        with console.capture() as captured:
            console.print(Text(printable(said)) if is_text else rendered(said))
        sys.stdout.write("".join(f"{line.rstrip()}\n" for line in captured.get().splitlines()))
        self._exit_code = 0 if is_text else said.exit_code

    def _tell(
        self,
        shell: Any,
        kind: type[BaseException],
        error: OneiricError,
        trace: TracebackType | None,
        tb_offset: int | None = None,
    ) -> None:
        """Show an error as commands do, without a traceback."""
        del shell, kind, trace, tb_offset
        console = Console(stderr=True, highlight=False, soft_wrap=True)
        console.print(Text(printable(error.render())))

    def _matcher(self) -> Any:
        verbs, marked = self._verbs, context_matcher()

        def magics(context: CompletionContext) -> SimpleMatcherResult:
            line = context.full_text.splitlines()[context.cursor_line][: context.cursor_position]
            begun, found = completions(verbs, line)
            return {
                "completions": [SimpleCompletion(text=word, type="oneiric") for word in found],
                "matched_fragment": begun,
                "suppress": bool(found),
            }

        return marked(magics)
