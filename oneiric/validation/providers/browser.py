"""Checks of pages in a real browser: headless Chromium, through Playwright."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any, cast
from urllib.parse import urlsplit

from oneiric.clock import Clock, SystemClock, rfc3339
from oneiric.errors import JSONValue, OneiricError
from oneiric.expressions import ExpressionError, Template
from oneiric.files import own_folder, write_atomic
from oneiric.ports.errors import InvalidRequestError, PermissionDeniedError, UnavailableError
from oneiric.runs.body import NOBODY, Provenance
from oneiric.runs.proof import Proof, ProofOutcome
from oneiric.text.masking import Masking
from oneiric.validation.addresses import shown_address
from oneiric.validation.checks.masks import secrets_of, without_keys
from oneiric.validation.checks.spec import UICheck
from oneiric.validation.hosts import HostRefusedError, Hosts, Place
from oneiric.validation.providers.browsing.chromium import BACKEND, Chromium
from oneiric.validation.providers.browsing.page import Glance, Look
from oneiric.validation.providers.browsing.settings import BrowserSettings
from oneiric.validation.texts import texts_in, with_texts

__all__ = ["BrowserProver", "BrowserSettings"]

_TELLING = 4
"""Characters from which on a text can be told from any other."""
_NOTHING: Mapping[str, JSONValue] = MappingProxyType({})
_PNG = b"\x89PNG"


@dataclass(slots=True)
class _Story:
    """All attempts at one check."""

    looks: list[Look] = field(default_factory=list)
    unable: str = ""
    hint: str = ""

    @property
    def outcome(self) -> ProofOutcome:
        if self.unable or not self.looks or self.looks[-1].unsure:
            return ProofOutcome.INCONCLUSIVE
        return ProofOutcome.PASSED if self.looks[-1].passed else ProofOutcome.FAILED

    @property
    def error(self) -> str:
        return self.unable or (self.looks[-1].unsure or self.looks[-1].error if self.looks else "")

    @property
    def is_flaky(self) -> bool:
        return len(self.looks) > 1 and self.outcome is ProofOutcome.PASSED


class BrowserProver:
    """Look at pages, and prove what they show.

    One browser serves all checks, and each gets a context of its own: no cookie, no storage and
    no cache of another. A page reaches production and the allowed hosts, and no others. What it
    tries beyond is refused and told in `facts["blocked"]`. A page that answers 400 or above never
    passes.

    Without Playwright, or without a browser, a proof is inconclusive and says what to install. So
    it is when a page brings the browser down, or when a selector is none.
    """

    def __init__(
        self,
        settings: BrowserSettings | None = None,
        *,
        clock: Clock | None = None,
        by: Provenance = NOBODY,
    ) -> None:
        self._settings = settings or BrowserSettings()
        self._clock = clock or SystemClock()
        self._by = by
        self._chromium = Chromium(self._settings)
        self._places = asyncio.Semaphore(self._settings.max_pages)

    async def cleanup(self) -> None:
        """End the browser and all that belongs to it; a later check begins it anew."""
        await self._chromium.stop()

    def refusal(self, check: UICheck, prod_url: str) -> str:
        """Return why a page may not be looked at, or an empty text; captures may still tell."""
        if "${" in check.url:
            return ""
        try:
            url = _address(check.url, prod_url)
            _permit(url, Hosts(prod_url, self._settings.allow_hosts))
        except (InvalidRequestError, PermissionDeniedError) as error:
            return error.reason
        return ""

    async def prove(
        self,
        check: UICheck,
        *,
        user: str,
        prod_url: str,
        repo_path: str = "",
        captured: Mapping[str, JSONValue] = _NOTHING,
    ) -> Proof:
        """Look at a page and prove what was found; a failure is a proof that says so.

        `url`, `title` and the texts of *check* may refer to *captured*, whose texts are masked
        wherever they would show.

        Raises:
            InvalidRequestError: the page has no address, or refers to what was not captured.
            PermissionDeniedError: it is on a host that is not allowed; nothing was sent.
        """
        asked = _filled(check, captured)
        url = _address(asked.url, prod_url)
        hosts = Hosts(prod_url, self._settings.allow_hosts)
        _permit(url, hosts)
        hosts = Hosts(url) if hosts.is_open else hosts
        known = [*texts_in(dict(captured)), *secrets_of(url)]
        masking = Masking(text for text in known if len(text) >= _TELLING)

        def safe(text: str) -> str:
            return masking.text(without_keys(text))

        async with self._places:
            at, begun = rfc3339(self._clock.now()), self._clock.monotonic()
            story = await self._told(asked, url, hosts)
            taken = (self._clock.monotonic() - begun) * 1000
        look = story.looks[-1] if story.looks else Look(url=url)
        excerpts = {"page": look.text, "console": "\n".join(look.console)}
        said: JSONValue = {"facts": _facts(story), "excerpts": {**excerpts}}
        shown = cast("dict[str, Any]", with_texts(said, safe))
        facts: dict[str, JSONValue] = {"check": check.identity, "user": user, **shown["facts"]}
        facts |= {"duration_ms": round(taken, 3), **self._kept(story, repo_path)}
        digest = facts.get("screenshot_digest")
        return Proof(
            claim=safe(check.name or f"{shown_address(look.url)} shows what it should"),
            subject=safe(shown_address(look.url)),
            kind="ui",
            outcome=story.outcome,
            at=at,
            by=self._by,
            digests={"screenshot": digest} if isinstance(digest, str) else {},
            excerpts={name: text for name, text in shown["excerpts"].items() if text},
            facts=facts,
        )

    async def _told(self, check: UICheck, url: str, hosts: Hosts) -> _Story:
        """Look until the page is as it should be, within the check's attempts and time."""
        story, loop = _Story(), asyncio.get_running_loop()
        deadline = None
        for number in range(check.attempts):
            try:
                browser = await self._chromium.get()
            except UnavailableError as error:
                return replace(story, unable=error.reason, hint=error.hint)
            deadline = deadline or loop.time() + check.timeout
            left = deadline - loop.time()
            if left <= 0:
                break
            glance = Glance(
                check=check,
                url=url,
                hosts=hosts,
                limit=left / (check.attempts - number),
                settle=self._settings.settle_seconds,
                most_bytes=self._settings.max_screenshot_bytes,
            )
            story.looks.append(await glance.look(browser))
            if story.looks[-1].passed:
                break
        return story

    def _kept(self, story: _Story, repo_path: str) -> dict[str, JSONValue]:
        """Keep the picture under its digest, and say where in the repository, or why not."""
        look = story.looks[-1] if story.looks else Look(url="")
        if not look.picture:
            return {"screenshot_missing": look.picture_dropped or "nothing was seen"}
        hexed = hashlib.sha256(look.picture).hexdigest()
        suffix = "png" if look.picture.startswith(_PNG) else "jpg"
        path = self._settings.screenshots / f"{hexed}.{suffix}"
        try:
            own_folder(repo_path / path.parent)
            write_atomic(repo_path / path, look.picture, mode=0o600)
        except (OneiricError, OSError) as error:
            return {"screenshot_missing": str(error), "screenshot_digest": f"sha256:{hexed}"}
        return {"screenshot": str(path), "screenshot_digest": f"sha256:{hexed}"}


def _facts(story: _Story) -> dict[str, JSONValue]:
    facts: dict[str, JSONValue] = {
        "attempts": len(story.looks),
        "flaky": story.is_flaky,
        "error": story.error or None,
    }
    if story.hint:
        facts["hint"] = story.hint
    if len(story.looks) > 1:
        facts["earlier"] = [each.error or each.unsure for each in story.looks[:-1]]
    if story.looks:
        look = story.looks[-1]
        facts |= {"method": "GET", "status": look.status, "asserts": [*look.asserts]}
        facts["blocked"] = dict(look.blocked)
    return facts


def _filled(check: UICheck, captured: Mapping[str, JSONValue]) -> UICheck:
    """Return *check* with what it refers to written in."""
    texts: JSONValue = {"url": check.url, "title": check.title, "text": dict(check.text)}
    try:
        filled = Template.parse(texts).evaluate({"captured": dict(captured)})
    except ExpressionError as error:
        raise InvalidRequestError(BACKEND, str(error)) from None
    return UICheck.model_validate({**check.model_dump(), **cast("dict[str, Any]", filled)})


def _address(url: str, prod_url: str) -> str:
    if urlsplit(url).scheme or not prod_url:
        return url
    return f"{prod_url.rstrip('/')}/{url.lstrip('/')}"


def _permit(url: str, hosts: Hosts) -> None:
    place = Place.of(url)
    if place is None or urlsplit(url).scheme not in ("http", "https"):
        hint = "give an address, or set the address of production"
        raise InvalidRequestError(BACKEND, "the page has no address", hint=hint)
    try:
        hosts.check(url)
    except HostRefusedError as error:
        raise PermissionDeniedError(BACKEND, error.message, hint=error.hint) from error
