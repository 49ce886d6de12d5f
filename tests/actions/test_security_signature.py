"""`security.signature`: known signatures, and a secret that nobody sees."""

import pytest

from oneiric.actions.security_signature import SecuritySignature, SignaturePayload
from oneiric.domains import InvalidPayloadError
from oneiric.testing import ManualClock
from tests.actions.conftest import Act

# RFC 4231, test case 2
KNOWN = "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"


async def test_a_signature_is_the_standards(act: Act) -> None:
    """HMAC-SHA256 of the standard's own example, for text and for base64."""
    for content in (
        {"message": "what do ya want for nothing?"},
        {"data": "d2hhdCBkbyB5YSB3YW50IGZvciBub3RoaW5nPw=="},
    ):
        found = await act("security.signature", secret="Jefe", **content)
        assert (found["status"], found["signature"], found["header"]) == (
            "signed",
            KNOWN,
            "X-Signature",
        )


def test_a_body_is_signed_as_canonical_json_and_dated() -> None:
    """Equal values have equal signatures; the time is the clock's."""
    kit = SecuritySignature(clock=ManualClock())
    signed = [
        kit.execute(SignaturePayload.model_validate({"secret": "k", "body": body}))
        for body in ({"a": 1, "b": 2}, {"b": 2.0, "a": 1})
    ]

    assert signed[0] == signed[1]
    assert signed[0].timestamp == "2026-01-01T00:00:00.000000Z"


async def test_a_refused_payload_does_not_show_the_secret(act: Act) -> None:
    """Nor is an empty secret one."""
    with pytest.raises(InvalidPayloadError) as caught:
        await act("security.signature", secret="hunter2", header="a b")
    assert "hunter2" not in f"{caught.value}{caught.value.as_json()}"
    with pytest.raises(InvalidPayloadError):
        await act("security.signature", secret="", message="m")
