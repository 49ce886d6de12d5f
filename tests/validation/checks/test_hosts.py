"""Whom checks may ask."""

import pytest

from oneiric.errors import JSONValue
from oneiric.ports.errors import InvalidRequestError, PermissionDeniedError
from oneiric.runs.proof import ProofOutcome
from oneiric.validation.hosts import HostRefusedError, Hosts
from oneiric.validation.providers.validator import LiveValidator, LiveValidatorSettings
from tests.validation.checks.service import Service, served


async def test_defect_validation_c7_only_listed_hosts_are_asked(service: Service) -> None:
    """With production named, no other host is asked unless it is listed; nor by a redirect."""
    async with served() as other:
        service.others = other.url
        validator = LiveValidator(LiveValidatorSettings(prod_url=service.url))
        await validator.init()
        try:
            with pytest.raises(PermissionDeniedError, match="none of the hosts"):
                await validator.prove({"url": other.at("/health")})
            away = await validator.prove({"url": service.at("/hop_away"), "max_redirects": 3})
        finally:
            await validator.cleanup()
        assert away.proof.outcome is ProofOutcome.FAILED
        assert "it redirects away" in str(away.proof.facts["error"])
        assert other.seen == []
        assert [each.key for each in validator.problems([{"url": other.at("/x")}])] == ["0.url"]
        listed = LiveValidatorSettings(
            prod_url=service.url, allow_hosts=[other.url.removeprefix("http://")]
        )
        validator = LiveValidator(listed)
        await validator.init()
        try:
            headers = {"Authorization": "Bearer abcdefgh", "Accept": "application/json"}
            check: dict[str, JSONValue] = {
                "url": service.at("/hop_away"),
                "max_redirects": 3,
                "headers": headers,
            }
            followed = await validator.prove(check)
        finally:
            await validator.cleanup()
        assert followed.proof.outcome is ProofOutcome.PASSED
        (seen,) = other.seen
        assert "Authorization" not in seen.headers
        assert seen.headers["Accept"] == "application/json"


def test_who_is_refused_is_named_with_the_port_that_has_to_be_listed() -> None:
    """Listing what the refusal names is enough; a host alone stands for its usual ports."""
    hosts = Hosts("http://localhost:8000", ["127.0.0.1"])

    with pytest.raises(HostRefusedError, match="localhost:6379 is none of the hosts"):
        hosts.check("http://127.0.0.1:6379/x")
    Hosts("http://localhost:8000", ["localhost:6379"]).check("http://127.0.0.1:6379/x")


async def test_defect_validation_c7_only_harmless_methods_are_sent_where_it_is_read_only(
    service: Service,
) -> None:
    """A validator that only reads sends no POST, and says so before."""
    validator = LiveValidator(LiveValidatorSettings(read_only=True))
    await validator.init()
    try:
        post = {"url": service.at("/create"), "method": "post"}
        with pytest.raises(PermissionDeniedError, match="read-only"):
            await validator.prove(post)
        assert [each.key for each in validator.problems([post])] == ["0.method"]
        head = await validator.prove({"url": service.at("/health"), "method": "HEAD"})
    finally:
        await validator.cleanup()
    assert head.proof.outcome is ProofOutcome.PASSED
    assert [each.method for each in service.seen] == ["HEAD"]


@pytest.mark.parametrize(
    "url",
    [
        "http://169.254.169.254/latest/meta-data/",
        "http://[fe80::1]/",
        "http://[::ffff:169.254.169.254]/",
        "http://[fd00:ec2::254]/",
        "http://100.100.100.200/",
        "http://metadata.google.internal/computeMetadata/v1/",
        "http://metadata.google.internal./",
    ],
)
async def test_defect_validation_c7_what_gives_machines_their_credentials_is_never_asked(
    url: str, validator: LiveValidator
) -> None:
    """Link-local and metadata addresses are refused even where there is no list of hosts."""
    with pytest.raises(PermissionDeniedError, match="credentials"):
        await validator.prove({"url": url})


@pytest.mark.parametrize("host", ["2852039166", "0xa9fea9fe", "169.254.43518"])
async def test_defect_validation_c7_nor_by_another_spelling(
    host: str, validator: LiveValidator
) -> None:
    """A number that the system reads as such an address leads nowhere."""
    try:
        proof = (await validator.prove({"url": f"http://{host}/", "timeout": 20})).proof
    except InvalidRequestError:
        return
    assert proof.outcome is ProofOutcome.FAILED
    assert "credentials" in str(proof.facts["error"]) or "not known" in str(proof.facts["error"])


async def test_defect_validation_c7_nor_by_a_redirect(
    service: Service, validator: LiveValidator
) -> None:
    """A service cannot send a check there either."""
    check: dict[str, JSONValue] = {"url": service.at("/hop_metadata"), "max_redirects": 5}
    proof = (await validator.prove(check)).proof
    assert proof.outcome is ProofOutcome.FAILED
    assert "credentials" in str(proof.facts["error"])
