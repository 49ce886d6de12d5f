"""Services behind TLS: whom they are trusted by, and for how long their certificate is good."""

import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import trustme
from aiohttp import web

from oneiric.ports.errors import InvalidRequestError
from oneiric.runs.proof import Proof, ProofOutcome
from oneiric.validation.providers.validator import LiveValidator, LiveValidatorSettings
from tests.validation.checks.service import served

NEAR, FAR = "certificate > 14d", "certificate > 1d"


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    """An authority that nobody but these tests trusts."""
    return trustme.CA()


def context(authority: trustme.CA, *, days: float, begun: float = 1) -> ssl.SSLContext:
    """What a server speaks TLS with, whose certificate is good for *days* more."""
    now = datetime.now(UTC)
    certificate = authority.issue_cert(
        "localhost", not_before=now - timedelta(days=begun), not_after=now + timedelta(days=days)
    )
    made = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    certificate.configure_cert(made)
    return made


async def proved(
    trust: ssl.SSLContext, ca_file: Path | None, path: str = "/health", **fields: Any
) -> Proof:
    """The proof of a check of a service that speaks TLS with *trust*."""
    async with served(trust) as service:
        validator = LiveValidator(LiveValidatorSettings(ca_file=ca_file))
        await validator.init()
        try:
            return (await validator.prove({"url": service.at(path), **fields})).proof
        finally:
            await validator.cleanup()


@pytest.fixture
def ca_file(authority: trustme.CA, tmp_path: Path) -> Path:
    """The authority's own certificate, as a file."""
    path = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(str(path))
    return path


async def test_a_certificate_near_its_end_fails_in_time(
    authority: trustme.CA, ca_file: Path
) -> None:
    """What is good for ten days passes where one is asked for, and fails where fourteen are."""
    proof = await proved(context(authority, days=10), ca_file, asserts=[FAR, NEAR])
    assert proof.outcome is ProofOutcome.FAILED
    asserts: Any = proof.facts["asserts"]
    assert [each["ok"] for each in asserts] == [True, True, False]
    days: Any = proof.facts["certificate_days"]
    assert 9.9 < days <= 10
    good = await proved(context(authority, days=90), ca_file, asserts=[FAR, NEAR])
    assert good.outcome is ProofOutcome.PASSED


async def test_every_answer_tells_of_its_certificate(authority: trustme.CA, ca_file: Path) -> None:
    """An answer without content, one of many pieces and one after a redirect tell it too."""
    for path, fields in (
        ("/health", {"method": "HEAD"}),
        ("/array", {}),
        ("/hop", {"max_redirects": 1}),
    ):
        proof = await proved(context(authority, days=10), ca_file, path, asserts=[FAR], **fields)
        assert proof.outcome is ProofOutcome.PASSED, path


async def test_every_certificate_on_the_way_counts(authority: trustme.CA, ca_file: Path) -> None:
    """One that is near its end is told, though its host sends on to one whose is not."""
    async with served(context(authority, days=90)) as good:

        async def away(_: web.Request) -> web.Response:
            raise web.HTTPFound(good.at("/health"))

        app = web.Application()
        app.router.add_get("/", away)
        runner = web.AppRunner(app)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context(authority, days=10)).start()
        validator = LiveValidator(LiveValidatorSettings(ca_file=ca_file))
        await validator.init()
        try:
            url = f"https://localhost:{runner.addresses[0][1]}/"
            asked: dict[str, Any] = {"url": url, "max_redirects": 1, "asserts": [NEAR]}
            proof = (await validator.prove(asked)).proof
        finally:
            await validator.cleanup()
            await runner.cleanup()
    assert (proof.outcome, proof.facts["status"]) == (ProofOutcome.FAILED, 200)
    assert 9.9 < float(str(proof.facts["certificate_days"])) <= 10


async def test_a_certificate_that_ended_or_that_nobody_trusts_fails(
    authority: trustme.CA, ca_file: Path
) -> None:
    """There is no answer where the certificate is no good, and the proof says why."""
    ended = await proved(context(authority, days=-1, begun=9), ca_file, asserts=[FAR])
    strange = await proved(context(authority, days=90), None, asserts=[FAR])
    assert (ended.outcome, strange.outcome) == (ProofOutcome.FAILED,) * 2
    assert "its certificate is not trusted: certificate has expired" in str(ended.facts["error"])
    assert "its certificate is not trusted" in str(strange.facts["error"])


async def test_authorities_that_cannot_be_read_are_an_error_at_the_start(tmp_path: Path) -> None:
    """A file that is not there, or holds no certificate, does not mean that anybody is trusted."""
    empty = tmp_path / "empty.pem"
    empty.write_text("nothing")
    for path in (tmp_path / "none.pem", empty):
        with pytest.raises(InvalidRequestError, match="no certificates"):
            await LiveValidator(LiveValidatorSettings(ca_file=path)).init()
