"""Places in traces, and who is at work on what."""

import asyncio

import pytest

from oneiric.text.tracing import DOING, Doing, Span, Spans, Trace, above, at_work, here

PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
RUN = "019b76da-a800-7000-8000-000000000001"


def span(number: int) -> Span:
    return Span(name="x", trace=Trace.new(), start_ns=number, end_ns=number)


@pytest.mark.parametrize(
    "text",
    [
        PARENT,
        PARENT.replace("-01", "-00"),
        f" {PARENT} ",
        PARENT.replace("00-0", "cc-0") + "-what-comes-later",
    ],
)
def test_a_traceparent_is_read(text: str) -> None:
    """Later versions may append what we do not know."""
    found = Trace.parse(text)

    assert found == Trace("0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331")
    assert str(found) == PARENT


@pytest.mark.parametrize(
    "text",
    [
        "",
        "00",
        PARENT.upper(),
        PARENT + "-more",
        PARENT.replace("00-0", "ff-0"),
        f"00-{'0' * 32}-b7ad6b7169203331-01",
        f"00-0af7651916cd43dd8448eb211c80319c-{'0' * 16}-01",
        PARENT.replace("a", "g"),
        PARENT + " " * 1_000_000,
    ],
)
def test_what_is_no_traceparent_is_ignored(text: str) -> None:
    """A caller that sends nonsense begins no trace."""
    assert Trace.parse(text) is None


def test_the_place_of_a_run_is_the_same_everywhere() -> None:
    """Its id is its trace; a step of it stands below, whoever computes that."""
    run = Trace.of(RUN)

    assert run.trace_id == RUN.replace("-", "")
    assert Trace.of(RUN, "a", "1", parent=run) == Trace.of(RUN, "a", "1", parent=run)
    assert Trace.of(RUN, "a", "2", parent=run) != Trace.of(RUN, "a", "1", parent=run)
    assert Trace.of("nightly").trace_id == Trace.of("nightly", "a").trace_id


def test_what_a_caller_began_is_gone_on_with() -> None:
    """For the length of the block, and for what is at work within."""
    with at_work(Doing(parent=Trace.parse(PARENT))):
        began = here()
        with at_work(Doing("task", "t", run=RUN, words=(RUN,), parent=above())):
            inner = here()
    assert began is not None
    assert inner is not None
    assert (str(began), inner.trace_id) == (PARENT, began.trace_id)
    assert inner.span_id != began.span_id
    assert here() is None


async def test_tasks_do_not_see_each_others_work() -> None:
    """Each has its own, and what began it stays as it was."""

    async def work(step: str) -> dict[str, str]:
        DOING.set(Doing(run="r", step=step, words=("r", step)))
        await asyncio.sleep(0)
        doing = DOING.get()
        assert doing is not None
        return dict(doing.keys())

    one, two = await asyncio.gather(work("a"), work("b"))

    assert (one["step"], two["step"]) == ("a", "b")
    assert (one["trace_id"], one["span_id"]) != (one["trace_id"], two["span_id"])
    assert DOING.get() is None


def test_work_that_begins_work_for_ever_holds_no_chain() -> None:
    """However long it goes on, what came before the last two is let go of."""
    for number in range(100):
        DOING.set(Doing(words=("r", str(number)), parent=above()))
    doing: Doing | Trace | None = DOING.get()
    depth = 0
    while isinstance(doing, Doing):
        doing, depth = doing.parent, depth + 1
    DOING.set(None)

    assert depth <= 2


def test_spans_are_bounded_and_the_oldest_go_first() -> None:
    """What nobody fetches in time is counted."""
    spans = Spans(most=3)
    for number in range(5):
        spans.add(span(number))

    assert (spans.dropped, len(spans)) == (2, 3)
    assert [each.start_ns for each in spans.take(2)] == [2, 3]
    assert [each.start_ns for each in spans.take()] == [4]
