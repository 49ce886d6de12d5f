"""What is masked by its name, and what only sounds like a secret."""

import pytest

from oneiric.text.redaction import MASK, redacted


@pytest.mark.parametrize(
    "name",
    ["tokens_used", "maxTokens", "prompt-tokens", "token_count", "TokenLimit", "total_tokens"],
)
def test_how_many_tokens_there_are_is_no_secret(name: str) -> None:
    """A number of that name is shown; anything else under it is masked all the same."""
    assert redacted({name: 17}) == {name: 17}
    assert redacted({name: 0.5}) == {name: 0.5}
    for value in ("17", ["t"], {"a": 1}, True, None):
        assert redacted({name: value}) == {name: MASK}


@pytest.mark.parametrize(
    "name",
    ["token", "auth_token", "pin_token_2", "password", "api_key", "tokens_password", "cookie"],
)
def test_a_number_can_be_a_secret(name: str) -> None:
    """One token is a secret, and so is whatever else is named like one."""
    assert redacted({name: 17}) == {name: MASK}


def test_names_that_were_asked_for_are_masked_whatever_they_hold() -> None:
    """The caller knows better."""
    assert redacted({"tokens_used": 17}, names=["tokens_used"]) == {"tokens_used": MASK}
