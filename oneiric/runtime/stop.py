"""Signals as wishes to be heeded, from before there is anything to stop."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable, Mapping
from functools import partial
from types import FrameType, TracebackType
from typing import Any, NoReturn, Self

NUMBERS = (signal.SIGTERM, signal.SIGINT)
MOST = 2


class StopSignals:
    """Heed both signals for as long as the block lasts, on the main thread.

    One that comes while something is still made ready is kept for `then`. Whoever asks more
    than twice ends the process there and then, even where foreign code lets nothing else run.
    """

    def __init__(self) -> None:
        self._times = 0
        self._first = signal.SIGINT
        self._stop: Callable[[], object] | None = None
        self._before: Mapping[signal.Signals, Any] = {}

    def __enter__(self) -> Self:
        self._before = {number: signal.signal(number, self._ask) for number in NUMBERS}
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for number, before in self._before.items():
            signal.signal(number, before)

    def then(self, stop: Callable[[], object]) -> None:
        """Have *stop* called on the running loop at each signal, and now if one came already."""
        self._stop = partial(asyncio.get_running_loop().call_soon_threadsafe, stop)
        if self.is_asked:
            stop()

    @property
    def is_asked(self) -> bool:
        """Whether any signal came."""
        return self._times > 0

    @property
    def number(self) -> int:
        """The first signal that came, or 0."""
        return self._first if self.is_asked else 0

    def pass_on(self) -> NoReturn:
        """End at the signal that came as a command does that heeds none."""
        self.__exit__(None, None, None)
        signal.raise_signal(self._first)
        raise KeyboardInterrupt

    def _ask(self, number: int, _frame: FrameType | None) -> None:
        if not self._times:
            self._first = signal.Signals(number)
        self._times += 1
        if self._times > MOST:
            signal.signal(number, signal.SIG_DFL)
            signal.raise_signal(number)
        if self._stop is not None:
            self._stop()


class ServeSignals(StopSignals):
    """Heed SIGHUP too: a wish that everything be read anew."""

    def __init__(self) -> None:
        super().__init__()
        self._is_reload_asked = False
        self._reload: Callable[[], object] | None = None

    def __enter__(self) -> Self:
        super().__enter__()
        self._before = {**self._before, signal.SIGHUP: signal.signal(signal.SIGHUP, self._hang_up)}
        return self

    def then_reload(self, reload: Callable[[], object]) -> None:
        """Have *reload* called on the running loop at each SIGHUP, and now if one came already."""
        self._reload = partial(asyncio.get_running_loop().call_soon_threadsafe, reload)
        if self._is_reload_asked:
            reload()

    def _hang_up(self, _number: int, _frame: FrameType | None) -> None:
        self._is_reload_asked = True
        if self._reload is not None:
            self._reload()
