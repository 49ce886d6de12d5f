"""One Chromium for all checks: begun with the first, and ended with everything it started."""

from __future__ import annotations

import asyncio
import os
import shutil
from collections.abc import Callable, Coroutine, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, TypeAlias

from oneiric.config.load import variables_named
from oneiric.kept import Kept
from oneiric.ports.errors import UnavailableError
from oneiric.validation.providers.browsing.settings import BrowserSettings

if TYPE_CHECKING:
    from playwright.async_api import Browser, Playwright

BACKEND = "browser"
Begin: TypeAlias = "Callable[[], Coroutine[object, object, Playwright]]"
_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
_HANDED_ON = ("HOME", "LANG", "LC_ALL", "LC_CTYPE", "PATH", "TMPDIR", "TZ")
_AGAIN_SECONDS = 60.0
_ANSWER_SECONDS = 5.0
_END_SECONDS = 10.0
_ROOT = 0
_ARGUMENTS = (
    "--disable-quic",
    "--disable-sync",
    "--dns-prefetch-disable",
    "--force-webrtc-ip-handling-policy=disable_non_proxied_udp",
)


class Chromium:
    """Hold the browser; use it on one loop."""

    def __init__(self, settings: BrowserSettings) -> None:
        self._settings = settings
        self._lock = asyncio.Lock()
        self._kept = Kept()
        self._playwright: Playwright | None = None
        self._browser: Browser | None = None
        self._hung: UnavailableError | None = None
        self._until = 0.0

    @property
    def version(self) -> str:
        """The version of the browser that runs, or an empty text."""
        return self._browser.version if self._browser is not None else ""

    async def get(self) -> Browser:
        """Return the browser; it is begun if it does not run, crashed, or hangs.

        Where its start took too long, whoever asks within the next minute is told so at once.

        Raises:
            UnavailableError: it cannot be; says what to install.
        """
        async with self._lock:
            if self._browser is None or not await _answers(self._browser):
                await self._end()
                if self._hung is not None and asyncio.get_running_loop().time() < self._until:
                    raise self._hung.with_traceback(None)
                self._browser = await self._begun()
            return self._browser

    async def stop(self) -> None:
        """End the browser and all of its processes; the next `get` begins it anew."""
        async with self._lock:
            self._hung = None
            await self._end()

    async def _begun(self) -> Browser:
        file = self._file()
        begin = await asyncio.to_thread(_library)
        from playwright.async_api import Error
        from playwright.async_api import TimeoutError as TooLongError

        try:
            self._playwright = await self._started(begin)
            return await self._playwright.chromium.launch(
                executable_path=file,
                headless=True,
                args=list(_ARGUMENTS),
                chromium_sandbox=self._settings.sandbox and os.geteuid() != _ROOT,
                env=dict[str, str | float | bool](variables_named(_HANDED_ON)),
                timeout=self._settings.start_seconds * 1000,
                handle_sigint=False,
                handle_sigterm=False,
                handle_sighup=False,
            )
        except Error as error:
            await self._end()
            reason = f"{file} does not start: {first_line(error)}"
            hint = "apt install chromium, or set sandbox = false where the system forbids it"
            told = UnavailableError(BACKEND, reason, hint=hint)
            if isinstance(error, TooLongError):
                self._hung = told
                self._until = asyncio.get_running_loop().time() + _AGAIN_SECONDS
            raise told from None
        except BaseException:
            await self._end()
            raise

    async def _started(self, begin: Begin) -> Playwright:
        """Start Playwright's driver; cancelled, wait until it can be ended, for nobody else can."""
        starting = self._kept.start(begin())
        try:
            return await asyncio.shield(starting)
        except asyncio.CancelledError:
            self._playwright = await starting
            raise

    async def _end(self) -> None:
        playwright, self._playwright = self._playwright, None
        browser, self._browser = self._browser, None
        if playwright is None:
            return
        from playwright.async_api import Error

        try:
            with suppress(Error, TimeoutError):
                if browser is not None:
                    async with asyncio.timeout(_END_SECONDS):
                        await browser.close()
        finally:
            with suppress(TimeoutError):
                async with asyncio.timeout(_END_SECONDS):
                    await playwright.stop()

    def _file(self) -> str:
        path: Mapping[str, str] = variables_named(["PATH"])
        names = [self._settings.executable] if self._settings.executable else _NAMES
        for name in names:
            if found := shutil.which(name, path=path.get("PATH", "")):
                return found
        what = self._settings.executable or "chromium"
        raise UnavailableError(BACKEND, f"there is no {what}", hint="apt install chromium")


def first_line(error: Exception) -> str:
    """Return what an error of Playwright says, without the log that it adds."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return (lines or [type(error).__name__])[0][:500]


def is_gone(error: Exception) -> bool:
    """Tell whether an error of Playwright says that the page, or what shows it, is no more."""
    return type(error).__name__ == "TargetClosedError"


async def _answers(browser: Browser) -> bool:
    """Tell whether a browser still does what it is told; one whose driver died says nothing."""
    from playwright.async_api import Error

    try:
        async with asyncio.timeout(_ANSWER_SECONDS):
            session = await browser.new_browser_cdp_session()
            await session.detach()
    except (Error, TimeoutError):
        return False
    return browser.is_connected()


def _library() -> Begin:
    """Return what starts Playwright; loading it takes a while, so call it in a thread."""
    try:
        from playwright.async_api import async_playwright
    except ImportError:
        hint = "install oneiric[ui]"
        raise UnavailableError(BACKEND, "Playwright is not installed", hint=hint) from None
    return async_playwright().start
