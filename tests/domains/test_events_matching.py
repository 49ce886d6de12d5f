"""Topics and filters: what a handler asks for is what it gets, or it is refused."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oneiric.domains.events import (
    Event,
    EventFilter,
    EventHandler,
    InvalidHandlerError,
    TopicPattern,
    parse_event_filters,
)
from oneiric.errors import InvalidError, JSONValue

SEGMENTS = st.lists(st.sampled_from(["a", "b", "c"]), min_size=1, max_size=6)
PATTERNS = st.lists(st.sampled_from(["a", "b", "*", "**"]), min_size=1, max_size=6)


def naive(pattern: list[str], topic: list[str]) -> bool:
    """Match by trying every way, one segment after the other."""
    if not pattern:
        return not topic
    head, *rest = pattern
    if head == "**":
        return any(naive(rest, topic[cut:]) for cut in range(len(topic) + 1))
    return bool(topic) and head in ("*", topic[0]) and naive(rest, topic[1:])


@given(PATTERNS, SEGMENTS)
def test_promise_e1_any_pattern_matches_as_its_words_say(
    pattern: list[str], topic: list[str]
) -> None:
    """Exact segments are themselves, `*` is one, `**` any number: as trying every way finds."""
    text = TopicPattern(".".join(pattern))
    assert text.matches(".".join(topic)) == naive(pattern, topic)


def test_promise_e1_matching_costs_no_more_with_many_wildcards() -> None:
    """A pattern made to be tried in very many ways is answered at once."""
    pattern = TopicPattern(".".join(["**", "a"] * 60))
    assert not pattern.matches(".".join(["a"] * 100 + ["b"]))


@pytest.mark.parametrize("text", ["", ".", "a.", "a..b", "a*", "*.b*", "***", "a b", "a\n", 7])
def test_what_is_no_pattern_is_refused(text: object) -> None:
    """Wildcards stand for whole segments, and no segment is empty."""
    with pytest.raises(InvalidError):
        TopicPattern(text)  # type: ignore[arg-type]


@pytest.mark.parametrize("topics", ["abc", [], 7, None, ["a", 7], [""]])
def test_defect_oneiric_e2_topics_are_a_list(topics: object) -> None:
    """Text became the topics a, b, c: it is refused, and so is listening to nothing."""
    with pytest.raises(InvalidHandlerError) as caught:
        EventHandler(name="h", function=print, topics=topics, origin="here.py")  # type: ignore[arg-type]
    assert "the handler h from here.py is invalid" in caught.value.message


def test_defect_oneiric_e2_wildcards_match() -> None:
    """There were none: `*` and `**` are, and exact topics stay exact."""
    wanted = ("order.*", "audit.**")
    handler = EventHandler(name="h", function=print, topics=wanted)
    topics = ("order.created", "order.created.eu", "audit", "audit.a.b", "auditor")
    assert [handler.hears(topic) for topic in topics] == [True, False, True, True, False]


EVENT = Event(
    id="1",
    type="order.created",
    subject="o-1",
    extensions={"region": "eu"},
    data={"a": {"b": [10, {"c": None}]}, "flag": True, "one": 1, "topic": "inner"},
)


@pytest.mark.parametrize(
    ("entry", "passes"),
    [
        ({"path": "topic", "equals": "order.created"}, True),
        ({"path": "payload.topic", "value": "inner"}, True),
        ({"field": "headers.region", "in": ["us", "eu"]}, True),
        ({"path": "headers.subject", "equals": "o-1"}, True),
        ({"path": "headers.missing", "exists": False}, True),
        ({"path": "a.b.0", "equals": 10}, True),
        ({"path": "a.b.1.c", "exists": True}, True),
        ({"path": "payload.a.b.2", "exists": True}, False),
        ({"path": "a.b.x", "exists": True}, False),
        ({"path": "a.b", "equals": [10, {"c": None}]}, True),
        ({"path": "a.b", "equals": [10, {"c": False}]}, False),
        ({"path": "payload", "exists": True}, True),
        ({"path": "flag", "equals": 1}, False),
        ({"path": "one", "equals": True}, False),
        ({"path": "one", "equals": 1.0}, True),
        ({"path": "one", "one_of": [2, 3]}, False),
        ({"path": "one", "any_of": [1, 2], "equals": 2}, False),
    ],
)
def test_a_filter_looks_at_topic_payload_and_headers(entry: JSONValue, passes: bool) -> None:
    """Every operator that is given must hold; JSON values are compared as JSON does."""
    assert EventFilter.parse(entry).passes(EVENT) is passes


@given(
    st.dictionaries(st.sampled_from("xyz"), st.sampled_from([None, True, 1, "1"])),
    st.lists(
        st.fixed_dictionaries(
            {"path": st.sampled_from("xyz")},
            optional={
                "equals": st.sampled_from([None, True, 1, "1"]),
                "any_of": st.lists(st.sampled_from([None, True, 1, "1"]), min_size=1),
                "exists": st.booleans(),
            },
        ).filter(lambda entry: len(entry) > 1),
        max_size=3,
    ),
)
def test_any_filters_are_anded(
    data: dict[str, JSONValue], entries: list[dict[str, JSONValue]]
) -> None:
    """An event passes when each operator of each filter holds, by a model that spells it out."""

    def among(value: JSONValue, wanted: list[JSONValue]) -> bool:
        return any(type(value) is type(each) and value == each for each in wanted)

    def holds(entry: dict[str, JSONValue]) -> bool:
        path = str(entry["path"])
        there = path in data
        return (
            entry.get("exists", there) == there
            and ("equals" not in entry or (there and among(data[path], [entry["equals"]])))
            and ("any_of" not in entry or (there and among(data[path], entry["any_of"])))  # type: ignore[arg-type]
        )

    handler = EventHandler(name="h", function=print, filters=parse_event_filters(entries))
    assert handler.wants(Event(id="1", type="a", data=data)) == all(map(holds, entries))


@pytest.mark.parametrize(
    "entry",
    [
        {"pth": "a", "equals": 1},
        {"path": "a", "equal": 1},
        {"path": "a"},
        {"equals": 1},
        {"path": "a", "any_of": []},
        {"path": "a", "any_of": "abc"},
        {"path": "a", "exists": 1},
        {"path": "a", "field": "a", "equals": 1},
        {"path": "", "exists": True},
        {"path": "a..b", "exists": True},
        {"path": "headers", "exists": True},
        {"path": 7, "exists": True},
        "a = 1",
    ],
)
def test_defect_oneiric_e4_a_filter_that_nobody_understands_is_refused(entry: JSONValue) -> None:
    """Misspelt keys, empty lists and odd values were dropped, and everything matched."""
    with pytest.raises(InvalidError):
        parse_event_filters([entry])


def test_promise_e1_a_refused_filter_says_what_was_meant() -> None:
    """The error has the nearest spelling."""
    with pytest.raises(InvalidError) as caught:
        EventFilter.parse({"path": "a", "equalss": 1})
    assert (caught.value.message, caught.value.hint) == (
        "a filter has no 'equalss'",
        "did you mean equals?",
    )


@pytest.mark.parametrize(
    "arguments",
    [
        {"fanout": "exklusive"},
        {"max_concurrency": -1},
        {"max_concurrency": 1.5},
        {"max_concurrency": True},
        {"priority": "high"},
        {"timeout_seconds": 0},
        {"timeout_seconds": "5"},
        {"filters": [{"path": "a", "equals": 1}]},
        {"function": "print"},
    ],
)
def test_defect_oneiric_e4_an_unknown_policy_or_odd_number_is_refused(
    arguments: dict[str, object],
) -> None:
    """An unknown fan-out policy meant broadcast; it is an error that names the handler."""
    with pytest.raises(InvalidHandlerError, match=re.escape("the handler h from code")):
        EventHandler(**{"name": "h", "function": print, **arguments})  # type: ignore[arg-type]


def test_defect_oneiric_e5_null_is_a_value_and_missing_is_none() -> None:
    """`equals: null` matched a missing field, and `exists: true` rejected an explicit null."""
    null, missing = (Event(id="1", type="a", data=data) for data in ({"x": None}, {}))
    equals, exists = EventFilter("x", equals=None), EventFilter("x", exists=True)
    found = [each.passes(event) for each in (equals, exists) for event in (null, missing)]
    assert found == [True, False, True, False]
