"""What a person can ask for and do about events: one method a verb."""

from __future__ import annotations

from typing import TYPE_CHECKING

from oneiric.domains.events import Event
from oneiric.runtime.event_answers import Emission, HandlerListing, LetterListing, ReplayAnswer
from oneiric.runtime.notifications import is_notification
from oneiric.to_end import run_to_end

if TYPE_CHECKING:
    from collections.abc import Sequence

    from oneiric.errors import JSONValue
    from oneiric.ports import DeadLetter
    from oneiric.runtime.operator import Operator
    from oneiric.runtime.orchestrator import RuntimeOrchestrator


class EventOperator:
    """Answer for the commands about events, from the runtime of an operator."""

    def __init__(self, operator: Operator) -> None:
        self._operator = operator

    def emit(self, topic: str, payload: JSONValue = None) -> Emission:
        """Dispatch a new event about *topic* in this process, and close what that brought up.

        Raises:
            InvalidError: the topic or the payload is wrong.
        """
        runtime = self._operator.orchestrator
        runtime.telemetry.begin()
        event = Event.of(topic, payload, clock=runtime.clock)

        async def emit() -> Emission:
            async with runtime.once():
                return await emitted(runtime, event)

        return run_to_end(emit())

    def handlers(self) -> HandlerListing:
        """Return who handles events, in order, and which offers cannot."""
        events = self._operator.orchestrator.events
        return HandlerListing(events.handlers(), events.problems)

    def dead_letters(self) -> LetterListing:
        """Return the events that were not handled, oldest first.

        Raises:
            StoreError: they cannot be read.
        """
        return LetterListing(tuple(run_to_end(self._letters())))

    def replay(self, letter_id: str = "") -> ReplayAnswer:
        """Tell the handler of one dead letter again, or those of all; messages are sent again.

        Raises:
            NotFoundError: there is no such letter, or its handler is gone.
            StoreError: the letters cannot be read or changed.
        """
        runtime = self._operator.orchestrator

        async def replay() -> ReplayAnswer:
            async with runtime.once():
                replays = await runtime.notifications.replay(letter_id)
                if not (letter_id and replays):
                    replays += await runtime.events.replay(letter_id, chosen=_is_for_a_handler)
                order = sorted(replays, key=lambda each: (each.letter.at, each.letter.id))
                return ReplayAnswer(tuple(order))

        return run_to_end(replay())

    async def _letters(self) -> Sequence[DeadLetter]:
        return await self._operator.orchestrator.events.letters()


async def emitted(
    runtime: RuntimeOrchestrator, event: Event, *, applied: str = "local"
) -> Emission:
    """Dispatch *event* in a runtime that was entered."""
    matched = len(runtime.events.matching(event))
    return Emission(event, matched, tuple(await runtime.events.dispatch(event)), applied)


def _is_for_a_handler(letter: DeadLetter) -> bool:
    return not is_notification(letter)
