"""Every form of report: what it says, and that nothing in a run can break it."""

from __future__ import annotations

import asyncio
import json
import re
import time
from base64 import b64encode
from collections.abc import Callable
from hashlib import sha256
from html.parser import HTMLParser
from xml.etree import ElementTree

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from oneiric.backoff import Backoff
from oneiric.errors import JSONValue
from oneiric.reports import RunReport
from oneiric.reports.cells import cells
from oneiric.reports.document import document
from oneiric.reports.happening import event_document, happening
from oneiric.reports.html import html
from oneiric.reports.junit import junit
from oneiric.reports.markdown import markdown
from oneiric.reports.mermaid import mermaid
from oneiric.reports.timeline import timeline
from oneiric.runs.event import RunEvent
from oneiric.runs.plan import OnError, Plan, Retry, Step
from oneiric.text.printable import printable
from tests.reports.runs import HOSTILE, events_of, imported, story

_VOID = frozenset({"meta", "br"})
_MERMAID = re.compile(
    r"flowchart TD|  s\d+\[\"[\w ./,@#;-]*<br/>[\w ./,@#;-]*\"\]:::[a-z]+"
    r"|  s\d+ --> s\d+|  classDef [a-z]+ [\w:#,-]+(?: [0-9])?"
)


class Page(HTMLParser):
    """What an HTML page holds: elements with attributes, text, and whether they are closed."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.open: list[str] = []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in _VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if "style" not in self.open:
            self.words.append(data)


def hostile() -> list[RunEvent]:
    """Return a run in which whatever others may say is hostile."""
    plan = Plan(HOSTILE, (Step(HOSTILE, HOSTILE), Step("b", "x", depends_on=(HOSTILE,))))
    error = {"code": HOSTILE, "message": HOSTILE * 3, "type": HOSTILE}
    said = {HOSTILE: [HOSTILE, {"password": "hunter2"}]}
    kept = HOSTILE.replace("\ud800", "")  # values are checked; what only tells is not
    started = {"attempt": 1, "input": said, "provider": HOSTILE, "version": HOSTILE}
    return story(
        plan,
        (0, "context-set", "", {"key": HOSTILE, "value": kept, "who": HOSTILE}),
        (0, "step-started", HOSTILE, started),
        (5, "step-retried", HOSTILE, {"attempt": 1, "error": error, "delay_ms": 5}),
        (9, "step-started", HOSTILE, {**started, "attempt": 2}),
        (20, "step-failed", HOSTILE, {"attempt": 2, "error": error}),
        (20, "step-canceled", "b", {"reason": HOSTILE}),
        (20, "run-ended", "", {"state": "failed", "error": error}),
    )


def check_timeline(report: RunReport) -> None:
    """Hold the timeline to its widths, with nothing in it that steers a terminal."""
    for width in (40, 41, 57, 80, 81, 100, 133, 200):
        for line in timeline(report, width=width).split("\n"):
            assert cells(line) <= width
            assert line == printable(line)


def check_html(report: RunReport) -> Page:
    """Hold the page to its promises: well nested, nothing loaded, no script, one style."""
    text = html(report)
    page = Page(text)
    tags = {tag for tag, _ in page.elements}
    assert not tags & {"script", "img", "link", "iframe", "object", "base", "form", "image", "use"}
    for tag, attributes in page.elements:
        assert not any(name.startswith("on") or name == "style" for name in attributes), tag
        assert not attributes.keys() & {"src", "srcset", "xlink:href", "action"}
        assert (attributes.get("href") or "#").startswith("#")
    ids = [attributes["id"] for _, attributes in page.elements if "id" in attributes]
    assert len(ids) == len(set(ids))
    links = {(attributes.get("href") or "")[1:] for tag, attributes in page.elements if tag == "a"}
    assert links <= set(ids)
    text.encode()
    return page


def check_junit(report: RunReport) -> ElementTree.Element:
    """Hold the XML to its promises: a parser reads it, and its numbers are right."""
    root = ElementTree.fromstring(junit(report).encode())
    for suite in (root, root[0]):
        assert int(suite.get("tests", "")) == len(root.findall("testsuite/testcase"))
        for name in ("failure", "error"):
            assert int(suite.get(f"{name}s", "")) == len(root.findall(f".//testcase/{name}"))
        assert int(suite.get("skipped", "")) == len(root.findall(".//testcase/skipped"))
    assert all(float(case.get("time", "")) >= 0 for case in root.iter("testcase"))
    return root


def check_mermaid(report: RunReport) -> None:
    """Hold the graph to the few shapes that its lines may have."""
    for line in mermaid(report).split("\n"):
        assert _MERMAID.fullmatch(line), line


def check_markdown(report: RunReport) -> None:
    """Hold the page to its rows: each has as many cells as the head."""
    text = markdown(report)
    text.encode()
    rows = [line for line in text.split("\n") if line.startswith("| ")]
    assert len(rows) == 1 + len(report.steps)
    assert {len(re.findall(r"(?<!\\)\|", row)) for row in rows} == {8}


def check_all(report: RunReport) -> None:
    """Render a run in every form, and hold each to what it promises."""
    check_timeline(report)
    check_html(report)
    check_junit(report)
    check_mermaid(report)
    check_markdown(report)
    json.dumps(document(report))


def test_nothing_that_a_run_says_breaks_a_report() -> None:
    """Names, providers, errors, keys and results are text in every form, and only that."""
    check_all(RunReport.of(hostile()))


def test_no_report_shows_a_secret() -> None:
    """What is named like a secret is masked, and so are passwords in URLs of errors."""
    error = {"code": "failed", "message": "no https://me:hunter2@host/", "type": "OSError"}
    events = story(
        Plan("one", (Step("a", "work"),)),
        (0, "step-started", "a", {"attempt": 1, "input": {"api_key": "hunter2"}}),
        (5, "step-assigned", "a", {"signal": "go", "prompt": {"token": "hunter2"}}),
        (9, "step-failed", "a", {"error": error}),
        (9, "run-ended", "", {"state": "failed", "error": error}),
    )
    report = RunReport.of(events)

    texts = [timeline(report), markdown(report), mermaid(report), junit(report), html(report)]

    texts += [happening(event, began_at=events[0].at) for event in events]
    texts += [json.dumps(event_document(event)) for event in events]

    assert not any("hunter2" in text for text in [*texts, json.dumps(document(report))])


def test_a_timeline_shows_steps_bars_and_reasons() -> None:
    """Each step on one axis: work, work that failed, waits; then who did it, and why it is so."""
    assert timeline(RunReport.of(imported()), width=64).split("\n") == [
        "import  ✗ failed",
        "run-1",
        "2 succeeded, 1 failed, 1 cached, 1 blocked in 1.00 s",
        "timeout: it took longer than 1 s",
        "",
        "                    0 ─────────────────────── 1.00 s",
        "✓ fetch   succeeded ▒▒▒▒··█████                           300 ms",
        "    2 attempts; mirror 2.1",
        "↺ parse   cached              █                             0 ms",
        "    its result is from the cache",
        "✓ approve succeeded           ░░░░░░░░░░░░░               400 ms",
        "✗ publish failed                          ▒▒▒▒▒▒▒▒▒▒▒     300 ms",
        "    timeout: it took longer than 1 s",
        "⊘ notify  blocked                                              -",
        "    a step that it depends on did not succeed",
        "",
        "█ work   ▒ work that failed   ░ waiting for somebody outside",
        "· before another attempt",
    ]


def test_a_wide_timeline_has_its_notes_beside_the_bars() -> None:
    """Where there is room each step takes one line."""
    lines = timeline(RunReport.of(imported()), width=140).split("\n")

    assert any(
        line.startswith("✓ fetch") and line.endswith("2 attempts; mirror 2.1") for line in lines
    )


def test_colour_changes_no_letter_of_a_timeline() -> None:
    """Without its colours it is the same text."""
    report = RunReport.of(imported())

    painted = timeline(report, colour=True)

    assert painted != timeline(report)
    assert re.sub(r"\x1b\[[0-9;]*m", "", painted) == timeline(report)


def test_junit_maps_each_state() -> None:
    """A timeout is an error, what was not done is skipped, earlier attempts are told."""
    cases = {
        case.get("name"): case for case in check_junit(RunReport.of(imported())).iter("testcase")
    }

    assert {name: [child.tag for child in case] for name, case in cases.items()} == {
        "fetch": ["system-out"],
        "parse": ["system-out"],
        "approve": [],
        "publish": ["error"],
        "notify": ["skipped"],
    }
    assert cases["fetch"].get("time") == "0.300"
    assert cases["publish"][0].get("type") == "TimeoutError"


@pytest.mark.parametrize("state", ["failed", "canceled"])
def test_junit_never_shows_a_bad_run_as_a_good_one(state: str) -> None:
    """A run that did not succeed though no step failed has a case of its own for that."""
    late = {"code": "timeout", "message": "it took longer than its plan allows"}
    events = story(
        Plan("one", (Step("a", "work"),)),
        (5, "step-canceled", "a", {"reason": "run-timeout"}),
        (6, "run-ended", "", {"state": state, "error": late if state == "failed" else None}),
    )

    root = check_junit(RunReport.of(events))

    assert (root.get("errors"), root.get("tests")) == ("1", "2")


def test_the_page_allows_no_script_and_no_address_and_its_own_style_only() -> None:
    """The policy names the digest of the one style that is there; any other is refused."""
    page = check_html(RunReport.of(imported()))
    [policy] = [a["content"] for tag, a in page.elements if "http-equiv" in a and tag == "meta"]
    [style] = re.findall(r"<style>(.*?)</style>", html(RunReport.of(imported())), re.DOTALL)
    digest = b64encode(sha256(style.encode()).digest()).decode()

    assert policy is not None
    assert policy.split("; ")[:2] == ["default-src 'none'", f"style-src 'sha256-{digest}'"]
    assert not re.search(r"url\(|@import|https?:", style)


def test_the_page_says_in_words_what_it_shows_in_colours() -> None:
    """States are words, drawings are hidden from readers, every step can be reached by key."""
    page = check_html(RunReport.of(imported()))
    words = " ".join(page.words)

    for word in (
        "succeeded",
        "failed",
        "cached",
        "blocked",
        "2 attempts",
        "mirror 2.1",
        "sha256:d",
    ):
        assert word in words
    assert sum(tag == "summary" for tag, _ in page.elements) == 5
    bars = [a for tag, a in page.elements if tag == "svg" and a.get("class") == "bar"]
    assert {a["aria-hidden"] for a in bars} == {"true"}
    assert ("html", {"lang": "en"}) in page.elements


def test_long_values_are_cut() -> None:
    """A result of a megabyte takes a few thousand characters of a page."""
    events = story(
        Plan("one", (Step("a", "work"),)),
        (5, "step-succeeded", "a", {"result": "x" * 1_000_000}),
        (6, "run-ended", "", {"state": "succeeded"}),
    )
    report = RunReport.of(events)

    assert len(html(report)) < 30_000
    assert len(markdown(report)) < 10_000
    assert "more characters" in html(report)


@pytest.mark.parametrize(
    ("form", "most"),
    [(html, 14_000_000), (timeline, 3_000_000), (markdown, 3_000_000), (junit, 4_000_000)],
)
def test_ten_thousand_steps_take_seconds_and_megabytes(
    form: Callable[[RunReport], str], most: int
) -> None:
    """The largest plan there is can still be looked at, and opened by a browser."""
    report = RunReport.of(large())

    begin = time.process_time()
    text = form(report)

    assert time.process_time() - begin < 20
    assert len(text) < most


def large() -> list[RunEvent]:
    """Return a run of 10,000 steps with results of 2 kB each."""
    steps = tuple(
        Step(f"step {n}", "work", depends_on=(f"step {n - 1}",) if n else ()) for n in range(10_000)
    )
    told = []
    for n in range(10_000):
        told.append((n, "step-started", f"step {n}", {"attempt": 1, "provider": "p"}))
        told.append((n + 1, "step-succeeded", f"step {n}", {"attempt": 1, "result": "r" * 2_000}))
    return story(Plan("large", steps), *told, (10_000, "run-ended", "", {"state": "succeeded"}))


_NAMES = st.from_regex(r"\A\w[\w .@/-]{0,30}\Z").filter(str.strip)
_VALUES: st.SearchStrategy[JSONValue] = st.one_of(
    st.none(),
    st.sampled_from(["flaky", "ask", "ok", {"password": "p"}, [[1], {"a": None}]]),
    st.tuples(st.just("fail"), st.text(st.characters(exclude_categories=["Cs"]), max_size=40)).map(
        list
    ),
    st.dictionaries(
        st.text(max_size=5).filter(lambda t: t.isprintable()), st.integers(-9, 9), max_size=3
    ),
)


@st.composite
def plans(draw: st.DrawFn) -> Plan:
    """Draw a plan of up to eight steps, each with one of the ways in which a step can go."""
    names = draw(st.lists(_NAMES, min_size=1, max_size=8, unique=True))
    steps = []
    for place, name in enumerate(names):
        before = draw(st.lists(st.sampled_from(names[:place]), unique=True)) if place else []
        steps.append(
            Step(
                name,
                "work",
                draw(_VALUES.filter(lambda value: "${" not in str(value))),
                depends_on=tuple(before),
                retry=Retry(attempts=2, backoff=Backoff(base_seconds=0.001)),
                on_error=draw(st.sampled_from(OnError)),
                compensation=draw(st.sampled_from(["", "work"])),
                condition=draw(st.sampled_from(["", "input == 1", "input == 2"])),
            )
        )
    name = draw(st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=30))
    return Plan(name, tuple(steps), fail_fast=draw(st.booleans()))


@settings(max_examples=60, deadline=None)
@given(plan=plans(), cut=st.floats(0, 1))
def test_any_run_renders_in_every_form_at_any_moment(plan: Plan, cut: float) -> None:
    """Whatever the engine made of a plan, whole or up to any of its events, renders."""
    events = asyncio.run(events_of(plan, 1))

    check_all(RunReport.of(events))
    check_all(RunReport.of(events[: max(1, round(cut * len(events)))]))
    lines = [happening(event, began_at=events[0].at) for event in events]
    assert lines == [printable(line) for line in lines]
    assert not any("\n" in line for line in lines)


@settings(max_examples=200, deadline=None)
@given(name=st.text(max_size=60), why=st.text(max_size=120), provider=st.text(max_size=30))
def test_any_text_fits_any_width(name: str, why: str, provider: str) -> None:
    """Widths hold for text of any script, with marks that join and signs that take two columns."""
    events = story(
        Plan(name, (Step(name, "x"),)),
        (1, "step-started", name, {"attempt": 1, "provider": provider}),
        (2, "step-failed", name, {"attempt": 1, "error": {"code": "failed", "message": why}}),
        (2, "run-ended", "", {"state": "failed", "error": {"code": "failed", "message": why}}),
    )

    check_timeline(RunReport.of(events))
