"""The envelope: CloudEvents 1.0, checked once, and never changed."""

import copy
import json
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oneiric.domains.events import Event
from oneiric.errors import DocumentError, InvalidError, JSONValue
from oneiric.testing import ManualClock

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53) + 1, 2**53 - 1) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=12,
)
DOCUMENT: dict[str, JSONValue] = {
    "specversion": "1.0",
    "id": "A234-1234-1234",
    "source": "https://github.com/cloudevents",
    "type": "com.github.pull_request.opened",
    "time": "2018-04-05T19:31:00+02:00",
    "datacontenttype": "application/json",
    "dataschema": "https://example.com/schema",
    "subject": "123",
    "comexampleextension1": "value",
    "comexampleothervalue": 5,
    "data": {"appinfoA": "abc", "appinfoC": [True, None, 1.5]},
}


def with_(**changed: object) -> dict[str, JSONValue]:
    return {**DOCUMENT, **changed}  # type: ignore[dict-item]


def test_a_new_event_has_id_and_time_of_the_clock() -> None:
    """What is emitted here says when and where, in the words of CloudEvents."""
    event = Event.of("order.created", {"a": [1]}, clock=ManualClock(), subject="o-1")
    assert event.as_json() == {
        "specversion": "1.0",
        "id": event.id,
        "source": "oneiric",
        "type": "order.created",
        "time": "2026-01-01T00:00:00.000000Z",
        "datacontenttype": "application/json",
        "subject": "o-1",
        "data": {"a": [1]},
    }
    assert event.topic == event.type


def test_a_cloud_event_is_read_and_written_whole() -> None:
    """Every attribute and extension of the published example comes back; times are in UTC."""
    event = Event.from_bytes(json.dumps(DOCUMENT).encode())
    assert event.extensions == {"comexampleextension1": "value", "comexampleothervalue": 5}
    assert event.as_json() == with_(time="2018-04-05T17:31:00.000000Z")


@given(JSON)
def test_any_json_data_survives_the_wire(data: JSONValue) -> None:
    """Writing and reading gives an equal event, for any data."""
    event = Event(id="1", type="a", data=data)
    assert Event.from_bytes(event.to_bytes()) == event
    assert event.data == data


@given(st.binary(max_size=50))
def test_any_bytes_survive_the_wire(data: bytes) -> None:
    """Data that is no JSON stands in data_base64."""
    event = Event(id="1", type="a", data=data, datacontenttype="image/png")
    assert Event.from_bytes(event.to_bytes()) == event


def test_data_is_shared_and_cannot_be_changed() -> None:
    """Neither a handler nor the emitter can alter an event for others; a deep copy is one's own."""
    given = {"items": [{"sku": "a"}]}
    event = Event(id="1", type="a", data=given)
    given["items"].clear()
    data = event.data

    changes: list[Callable[[], object]] = [
        lambda: data.update(x=1),
        lambda: data["items"].append({}),
        lambda: data["items"][0].pop("sku"),
        lambda: data.__setitem__("items", []),
        lambda: data["items"].sort(),
    ]
    for change in changes:
        with pytest.raises(TypeError, match=r"copy\.deepcopy"):
            change()
    own = copy.deepcopy(data)
    own["items"][0]["sku"] = "b"
    assert (json.dumps(event.data), own["items"]) == ('{"items": [{"sku": "a"}]}', [{"sku": "b"}])
    assert data == {"items": [{"sku": "a"}]}


@pytest.mark.parametrize(
    "document",
    [
        [],
        with_(specversion="0.3"),
        {key: value for key, value in DOCUMENT.items() if key != "id"},
        with_(id=""),
        with_(id=7),
        with_(type="a..b"),
        with_(type="order.*"),
        with_(type="a b"),
        with_(type="x" * 256),
        with_(source="a\nb"),
        with_(time="yesterday"),
        with_(time="2018-04-05T17:31:00"),
        with_(subject="x" * 3000),
        with_(Upper="x"),
        with_(nested={}),
        with_(big=2**31),
        with_(data_base64="AAAA"),
        {**{k: v for k, v in DOCUMENT.items() if k != "data"}, "data_base64": "?"},
    ],
)
def test_what_is_no_event_is_refused(document: JSONValue) -> None:
    """Each attribute has its form; nothing is guessed."""
    with pytest.raises(InvalidError):
        Event.from_json(document)


@pytest.mark.parametrize("name", ["id", "source", "type"])
def test_defect_an_attribute_that_is_null_is_one_that_is_missing(name: str) -> None:
    """The sender is told so, as for one that is not there."""
    with pytest.raises(InvalidError, match=f"an event needs {name}"):
        Event.from_json(with_(**{name: None}))


def test_events_are_bounded() -> None:
    """Data too deep, too large, or no JSON is refused before any handler sees it."""
    deep: list[object] = []
    for _ in range(100):
        deep = [deep]
    for data in (deep, "x" * (1 << 20), {1: 2}, {"x": {1, 2}}, float("nan"), 2**60):
        with pytest.raises(DocumentError):
            Event(id="1", type="a", data=data)
    with pytest.raises(InvalidError):
        Event(id="1", type="a", data=b"x" * ((1 << 20) + 1))
