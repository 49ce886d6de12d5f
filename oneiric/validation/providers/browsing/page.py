"""One look at a page: what was expected of it, what was found, and a picture."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit, urlunsplit

from oneiric.errors import JSONValue
from oneiric.validation.checks.spec import UICheck
from oneiric.validation.hosts import Hosts, Place
from oneiric.validation.providers.browsing.chromium import first_line, is_gone
from oneiric.validation.providers.browsing.gate import Gate

if TYPE_CHECKING:
    from playwright.async_api import (
        Browser,
        BrowserContext,
        ConsoleMessage,
        Page,
        Request,
        Response,
    )

PACE_SECONDS = 0.1
QUIET_SECONDS = 0.5
"""For how long at least everything has to stay as it should be."""

_LAST_LOOK_SECONDS = 0.25
_ACTUAL_LENGTH = 200
_TEXT_LENGTH = 2_000
_MOST_MESSAGES = 20
_CLOSE_SECONDS = 5.0
_PICTURE_SHARE = 0.25
_PICTURE_SECONDS = 10.0
_BAD_STATUS = 400
_ERROR_PAGE = "chrome-error:"
_QUALITY = 50
_YES = True


@dataclass(slots=True, kw_only=True)
class Look:
    """What one attempt found: `error` says why it did not pass, `unsure` why nobody can tell.

    `unreached` is where the page tried in vain to go last, and why it was in vain.
    """

    url: str
    status: int | None = None
    asserts: list[dict[str, JSONValue]] = field(default_factory=list)
    console: list[str] = field(default_factory=list)
    unreached: tuple[str, str] = ("", "")
    text: str = ""
    error: str = ""
    unsure: str = ""
    blocked: dict[str, int] = field(default_factory=dict)
    picture: bytes = field(default=b"", repr=False)
    picture_dropped: str = ""

    @property
    def passed(self) -> bool:
        """Whether everything was as expected."""
        return not self.error and not self.unsure


@dataclass(frozen=True, slots=True)
class _Expectation:
    what: str
    expected: JSONValue
    find: Callable[[Page], Awaitable[tuple[JSONValue, bool]]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Glance:
    """Look at one page, once: in a context of its own, which nothing outlives.

    Args:
        check: what is expected.
        url: the page, its expressions filled in.
        limit: seconds that it may take in all.
        settle: seconds that the loaded page has to become as it should be.
        most_bytes: how large a picture may be.
    """

    check: UICheck
    url: str = field(repr=False)
    hosts: Hosts
    limit: float
    settle: float
    most_bytes: int

    async def look(self, browser: Browser) -> Look:
        """Look, and tell; what goes wrong is told as well, never raised."""
        from playwright.async_api import Error

        found = Look(url=_split(self.url)[0])
        loop = asyncio.get_running_loop()
        until = loop.time() + self.limit
        is_open = False
        try:
            async with AsyncExitStack() as stack:
                gate = await stack.enter_async_context(Gate(self.hosts))
                found.blocked = gate.refused
                async with asyncio.timeout_at(until):
                    page = await self._opened(browser, gate, stack)
                    is_open = True
                    self._listen(page, found)
                    reserve = min(_PICTURE_SECONDS, self.limit * _PICTURE_SHARE)
                    await self._watched(page, gate, found, until=until - reserve)
                    await self._portrayed(page, found, until=until)
        except TimeoutError:
            found.error = found.error or f"it took longer than {self.limit:.1f} s"
            found.unsure = found.unsure if is_open else "the browser opened no page in time"
        except Error as error:
            found.unsure = found.unsure or f"the browser failed: {first_line(error)}"
        return found

    async def _opened(self, browser: Browser, gate: Gate, stack: AsyncExitStack) -> Page:
        place, user, password = _split(self.url)
        origin = urlunsplit((*urlsplit(place)[:2], "", "", ""))
        context = await browser.new_context(
            proxy={"server": gate.address},
            viewport={"width": self.check.width, "height": self.check.height},
            service_workers="block",
            accept_downloads=False,
            http_credentials={"username": user, "password": password, "origin": origin}
            if user
            else None,
        )
        stack.push_async_callback(_closed, context)
        return await context.new_page()

    def _listen(self, page: Page, found: Look) -> None:
        def said(message: ConsoleMessage) -> None:
            if message.type == "error" and self._is_own(message.location.get("url", "")):
                heard(message.text)

        def heard(text: str) -> None:
            if len(found.console) < _MOST_MESSAGES:
                found.console.append(text[:_ACTUAL_LENGTH])

        def crashed(_: object) -> None:
            found.unsure = "the page crashed the browser"

        def answered(response: Response) -> None:
            if response.request.is_navigation_request() and response.frame == page.main_frame:
                found.status = response.status

        def failed(request: Request) -> None:
            if request.is_navigation_request() and request.frame == page.main_frame:
                found.unreached = (request.url, request.failure or "no answer")

        page.on("response", answered)
        page.on("requestfailed", failed)
        page.on("console", said)
        page.on("pageerror", lambda error: heard(f"uncaught {first_line(error)}"))
        page.on("crash", crashed)

    def _is_own(self, url: str) -> bool:
        """Tell whether a message about *url* is the page's fault, not that of who looks at it."""
        place = Place.of(url)
        return place is None or (
            self.hosts.allows(place) and not urlsplit(url).path.endswith("/favicon.ico")
        )

    async def _watched(self, page: Page, gate: Gate, found: Look, *, until: float) -> None:
        """Load the page, and wait until it is as it should be, or it is too late for that."""
        from playwright.async_api import Error
        from playwright.async_api import TimeoutError as TooLate

        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout_at(until):
                limit = max(1.0, (until - loop.time()) * 1000)
                answer = await page.goto(found.url, timeout=limit, wait_until="domcontentloaded")
                if answer is not None and found.status is None:
                    found.status = answer.status
                end = min(until - _LAST_LOOK_SECONDS, loop.time() + self.settle)
                with suppress(TooLate):  # what never comes may be of no weight
                    await page.wait_for_load_state("load", timeout=_ms(end - loop.time()))
                await self._settled(page, found, until=end)
        except (TooLate, TimeoutError):
            found.error = "the page did not load, or did not respond, in time"
        except Error as error:
            if page.is_closed() or is_gone(error):
                raise
            found.error = _reason(first_line(error), gate)
        else:
            found.error = self._astray(page.url, *found.unreached) or found.error
        found.url = page.url if page.url.startswith("http") else found.url

    def _astray(self, url: str, unreached: str, why: str) -> str:
        """Return why what the page has become, by whatever script, is nothing that was asked."""
        is_lost = url.startswith(_ERROR_PAGE)
        place = Place.of(unreached if is_lost else url)
        if place is None:
            return f"it leads to {url.partition(':')[0]}:, which is no page of a service"
        if not self.hosts.allows(place):
            return f"it leads to {place}, which is not allowed"
        return f"it leads to {place}, which does not answer: {why}" if is_lost else ""

    async def _settled(self, page: Page, found: Look, *, until: float) -> None:
        """Look again and again, until everything is and stays so, at the latest *until*."""
        loop, expected = asyncio.get_running_loop(), list(_expected(self.check))
        since = loop.time()
        while True:
            begin = loop.time()
            asserts, unsure = await _compared(page, expected)
            found.asserts[:] = [*self._standing(found), *asserts]
            if unsure or not all(each["ok"] for each in found.asserts):
                since = loop.time()
            if loop.time() >= until or begin - since >= QUIET_SECONDS:
                break
            await asyncio.sleep(PACE_SECONDS)
        found.unsure = found.unsure or unsure
        wrong = [str(each["what"]) for each in found.asserts if not each["ok"]]
        found.error = f"not as expected: {', '.join(wrong)}" if wrong and not unsure else ""

    def _standing(self, found: Look) -> Iterator[dict[str, JSONValue]]:
        """Yield what can be told without looking at the page."""
        if found.status is not None:
            told: JSONValue = f"below {_BAD_STATUS}"
            yield _told("status", told, found.status, ok=found.status < _BAD_STATUS)
        if not self.check.console_errors:
            count = len(found.console)
            yield _told("console errors", 0, count, ok=not count)

    async def _portrayed(self, page: Page, found: Look, *, until: float) -> None:
        """Take a picture, and of a page that is not as it should be what can be read on it."""
        from playwright.async_api import Error

        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout_at(until):
                picture = await page.screenshot(timeout=_ms(until - loop.time()))
                if len(picture) > self.most_bytes:
                    limit = _ms(until - loop.time())
                    picture = await page.screenshot(type="jpeg", quality=_QUALITY, timeout=limit)
                found.picture = picture if len(picture) <= self.most_bytes else b""
                if not found.picture:
                    found.picture_dropped = f"it has {len(picture)} bytes"
                if not found.passed:
                    body = page.locator("body")
                    text = await body.inner_text(timeout=_ms(until - loop.time()))
                    found.text = text[:_TEXT_LENGTH]
        except TimeoutError:
            found.picture_dropped = found.picture_dropped or "it took too long"
        except Error as error:
            if not found.picture:
                found.picture_dropped = first_line(error)


def _expected(check: UICheck) -> Iterator[_Expectation]:
    for selector in check.visible:
        yield _Expectation(f"visible {selector}", _YES, _visible(selector, wanted=True))
    for selector in check.hidden:
        yield _Expectation(f"hidden {selector}", _YES, _visible(selector, wanted=False))
    for selector, text in check.text.items():
        yield _Expectation(f"text {selector}", text, _text(selector, text))
    if check.title:
        yield _Expectation("title", check.title, _title(check.title))


def _visible(selector: str, *, wanted: bool) -> Callable[[Page], Awaitable[tuple[JSONValue, bool]]]:
    async def find(page: Page) -> tuple[JSONValue, bool]:
        count = await page.locator(selector).filter(visible=True).count()
        return (count > 0) == wanted, (count > 0) == wanted

    return find


def _text(selector: str, text: str) -> Callable[[Page], Awaitable[tuple[JSONValue, bool]]]:
    async def find(page: Page) -> tuple[JSONValue, bool]:
        texts = [_plain(each or "") for each in await page.locator(selector).all_inner_texts()]
        holding = next((each for each in texts if _plain(text) in each), None)
        shown = holding if holding is not None else " | ".join(texts)
        return (shown[:_ACTUAL_LENGTH] if texts else None), holding is not None

    return find


def _title(title: str) -> Callable[[Page], Awaitable[tuple[JSONValue, bool]]]:
    async def find(page: Page) -> tuple[JSONValue, bool]:
        found = await page.title()
        return found[:_ACTUAL_LENGTH], _plain(title) in _plain(found)

    return find


async def _compared(
    page: Page, expected: list[_Expectation]
) -> tuple[list[dict[str, JSONValue]], str]:
    """Return what each expectation came to, and why one could not be looked at."""
    from playwright.async_api import Error

    asserts, unsure = [], ""
    for each in expected:
        try:
            actual, is_so = await each.find(page)
        except Error as error:  # no selector, or the page went elsewhere at that moment
            actual, is_so = None, False
            unsure = unsure or f"{each.what} could not be looked at: {first_line(error)}"
        asserts.append(_told(each.what, each.expected, actual, ok=is_so))
    return asserts, unsure


def _told(what: str, expected: JSONValue, actual: JSONValue, *, ok: bool) -> dict[str, JSONValue]:
    return {"what": what, "expected": expected, "actual": actual, "ok": ok}


def _reason(told: str, gate: Gate) -> str:
    if gate.silent:
        place, why = next(iter(gate.silent.items()))
        return f"{place} does not answer: {why}"
    if gate.refused and "TUNNEL" in told:
        return f"it leads to {next(iter(gate.refused))}, which is not allowed"
    return told


async def _closed(context: BrowserContext) -> None:
    """Close a context; one that hangs is left to the end of its browser."""
    from playwright.async_api import Error

    try:
        async with asyncio.timeout(_CLOSE_SECONDS):
            await context.close()
    except (Error, TimeoutError):
        return


def _split(url: str) -> tuple[str, str, str]:
    """Return an address without user and password, and both."""
    parts = urlsplit(url)
    userinfo, _, place = parts.netloc.rpartition("@")
    user, _, password = userinfo.partition(":")
    return urlunsplit(parts._replace(netloc=place)), unquote(user), unquote(password)


def _plain(text: str) -> str:
    return " ".join(text.split())


def _ms(seconds: float) -> float:
    return max(1.0, seconds * 1000)
