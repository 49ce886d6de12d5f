"""`data.sanitize`: what is allowed, dropped and masked, and where."""

from oneiric.actions.data_sanitize import SanitizePayload
from oneiric.text.redaction import MASK
from tests.actions.conftest import Act

RECORD = {
    "name": "Ann",
    "Card-No": "4111",
    "orders": [{"cardNo": "4222", "note": "see https://me:pw@shop", "internal_id": 1}],
    "password": "p",
}


async def test_fields_are_dropped_and_masked_at_any_depth(act: Act) -> None:
    """In tables and in lists, in any spelling; the paths are told."""
    found = await act(
        "data.sanitize", record=RECORD, drop_fields=["internalId"], mask_fields=["card_no"]
    )

    assert found == {
        "status": "sanitized",
        "data": {
            "name": "Ann",
            "Card-No": MASK,
            "orders": [{"cardNo": MASK, "note": f"see https://{MASK}@shop"}],
            "password": MASK,
        },
        "applied": {
            "dropped": ["orders.0.internal_id"],
            "masked": ["Card-No", "orders.0.cardNo", "password"],
        },
    }


async def test_names_may_be_taken_to_the_letter(act: Act) -> None:
    """With `case_sensitive` other spellings stay, but never what is named like a secret."""
    found = await act(
        "data.sanitize",
        data={"Card": 1, "card": 2, "Token": 3},
        mask_fields=["card"],
        case_sensitive=True,
        mask_value="#",
    )

    assert found["data"] == {"Card": 1, "card": "#", "Token": "#"}


async def test_only_allowed_fields_stay_at_the_top(act: Act) -> None:
    """The others are dropped whole; what is allowed is still sanitized."""
    found = await act("data.sanitize", data=RECORD, allow_fields=["NAME", "password"])

    assert found["data"] == {"name": "Ann", "password": MASK}
    assert found["applied"]["dropped"] == ["Card-No", "orders"]


def test_the_schema_knows_both_spellings_of_the_record() -> None:
    """A payload that is taken fits the schema that is shown: exactly one of the two is given."""
    schema = SanitizePayload.model_json_schema()

    assert {"data", "record"} <= schema["properties"].keys()
    assert schema["oneOf"] == [{"required": ["data"]}, {"required": ["record"]}]
    assert "data" not in schema["required"]
