"""Exclusive handlers: one of them handles an event, and the next when that one could not."""

from oneiric.domains.events import (
    DeclinedError,
    Event,
    EventDispatcher,
)
from tests.domains.handlers import (
    EVENT,
    TWICE,
    broken,
    declining,
    exclusive,
    fine,
    handler,
    outcomes,
)


async def test_promise_e3_the_highest_willing_exclusive_handler_is_picked() -> None:
    """Those that decline or fail are passed over; those below who handles are not asked."""
    dispatcher = EventDispatcher(
        [
            exclusive("last", fine, 1),
            handler("audit", fine, priority=2),
            exclusive("good", fine, 5),
            exclusive("broken", broken, 8),
            exclusive("declines", declining, 9),
        ]
    )
    results = await dispatcher.dispatch(EVENT)
    assert [(each.handler, each.outcome, each.covered) for each in results] == [
        ("declines", "declined", False),
        ("broken", "failed", True),
        ("good", "handled", False),
        ("audit", "handled", False),
    ]
    assert await dispatcher.dead_letters.letters() == []


async def test_promise_e3_one_letter_is_kept_when_no_exclusive_handler_could() -> None:
    """It names the first that failed; its replay asks all exclusive handlers again."""
    well = [False]

    async def second(event: Event) -> str:
        if not well[0]:
            raise ValueError("unwell")
        return "second"

    dispatcher = EventDispatcher([exclusive("a", broken, 2), exclusive("b", second, 1)])
    first, other = await dispatcher.dispatch(EVENT)
    assert (first.letter != "", other.letter, first.covered) == (True, "", False)
    well[0] = True
    (replay,) = await dispatcher.replay()
    found = [(each.handler, each.success, each.covered) for each in replay.results]
    assert (replay.success, found) == (True, [("a", False, True), ("b", True, False)])
    assert await dispatcher.dead_letters.letters() == []


async def test_promise_e3_an_event_that_all_decline_is_no_failure() -> None:
    """Declining is an answer: nothing is tried again and nothing is kept."""
    calls: list[str] = []

    def declines(event: Event) -> None:
        calls.append(event.id)
        raise DeclinedError("not mine")

    dispatcher = EventDispatcher(
        [
            handler("a", declines, fanout="exclusive", retry=TWICE),
            handler("b", declines, fanout="exclusive"),
            handler("c", declines),
        ]
    )
    assert await outcomes(dispatcher) == [(name, "declined") for name in "abc"]
    assert (len(calls), await dispatcher.dead_letters.letters()) == (3, [])


async def test_defect_oneiric_e3_an_exclusive_handler_hides_nothing_from_broadcast_ones() -> None:
    """A low exclusive handler suppressed an audit handler of priority 1000."""
    dispatcher = EventDispatcher(
        [exclusive("e", fine, 1), handler("audit", fine, priority=1000), handler("low", fine)]
    )
    assert await outcomes(dispatcher) == [
        ("audit", "handled"),
        ("e", "handled"),
        ("low", "handled"),
    ]
