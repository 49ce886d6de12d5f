"""IPython around a runtime, for whoever has to look after one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib.util import find_spec
from types import MappingProxyType
from typing import TYPE_CHECKING, ClassVar, Self

from oneiric.errors import UnavailableError
from oneiric.shell.loop import LoopThread

if TYPE_CHECKING:
    from oneiric.runtime.orchestrator import RuntimeOrchestrator
    from oneiric.shell.verbs import Live, Verbs


class AdminShell:
    """Open IPython with a runtime that is up, and magics that ask and tell it.

    `runtime`, `resolver`, `lifecycle` and `use` are there by name, and `await` works at the top
    level. The runtime lives on an event loop of its own, so it works on between the lines. With
    *live* the magics act on the orchestrator that runs in the folder instead. Derive from it
    to add names and magics; a magic gets the shell and its line, and what text it returns is shown:

    >>> from oneiric import RuntimeOrchestrator
    >>> class OurShell(AdminShell):
    ...     names = {"answer": 42}
    ...     magics = {"greet": lambda shell, line: f"hello {line}"}
    >>> OurShell(RuntimeOrchestrator.open()).run("%greet ann")
    hello ann
    0

    Args:
        runtime: which nobody has entered.
        live: who answers the magics in its place.
    """

    names: ClassVar[Mapping[str, object]] = MappingProxyType({})
    magics: ClassVar[Mapping[str, Callable[[Self, str], str | None]]] = MappingProxyType({})

    def __init__(self, runtime: RuntimeOrchestrator, *, live: Live | None = None) -> None:
        self.runtime = runtime
        self._live = live

    def run(self, text: str = "") -> int:
        """Read and run lines until the person leaves, or only *text*, and return an exit code.

        That is 0 for who leaves, and for *text* what a command would end with. What is up is
        closed at the end.

        Raises:
            UnavailableError: IPython is not installed.
            StoreError: the stored selections cannot be read.
        """
        if find_spec("IPython") is None:
            raise UnavailableError("the shell needs IPython", hint="install oneiric[shell]")
        from oneiric.shell.terminal import Terminal  # needs the extra

        with LoopThread() as loop:
            loop(self.runtime.__aenter__())
            try:
                return Terminal(self, self._verbs(loop), loop).run(text)
            finally:
                loop(self.runtime.end())

    def namespace(self) -> dict[str, object]:
        """Return what is there by name."""
        lifecycle = self.runtime.lifecycle
        own = {"runtime": self.runtime, "resolver": self.runtime.resolver, "lifecycle": lifecycle}
        return {**own, "use": lifecycle.use, "shell": self, **self.names}

    def _verbs(self, loop: LoopThread) -> Verbs:
        from oneiric.shell.verbs import LiveVerbs, Verbs  # what follows is for who has the extra

        if self._live is None:
            return Verbs(self.runtime, loop)
        return LiveVerbs(self.runtime, loop, self._live)
