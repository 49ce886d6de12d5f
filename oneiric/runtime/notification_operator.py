"""What a person can have sent: the result of `workflow.notify`, by routes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from oneiric.domains.steps import ComponentBodies
from oneiric.domains.workflows.spec import read_workflow
from oneiric.errors import InvalidError, JSONValue
from oneiric.runtime.answers import ActionAnswer
from oneiric.runtime.component_desk import ComponentDesk
from oneiric.runtime.notification_answers import NotificationAnswer
from oneiric.runtime.notification_route import NOTIFY, NotificationRoute, routes_of

if TYPE_CHECKING:
    from oneiric.runtime.operator import Operator

NOWHERE = NotificationRoute()


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """Whether and where the result of an action is to be sent.

    Args:
        workflow: whose routes are taken; empty for none.
        send: whether it is sent at all.
        override: the provider, target and title that are laid over every route, or are the
            only one where there is none.
    """

    workflow: str = ""
    send: bool = False
    override: NotificationRoute = NOWHERE

    @classmethod
    def said(
        cls,
        *,
        workflow: str = "",
        send: bool = False,
        provider: str = "",
        target: str = "",
        title: str = "",
    ) -> Notice:
        """Return what was said in plain words."""
        route = NotificationRoute(provider=provider, target=target, title=title)
        return cls(workflow=workflow, send=send, override=route)


class NotificationOperator:
    """Run `workflow.notify` and send what it gave, from the runtime of an operator."""

    def __init__(self, operator: Operator) -> None:
        self._operator = operator

    def said(self, notice: Mapping[str, Any]) -> Notice:
        """Return a notice that was said in the words of `Notice.said`."""
        return Notice.said(**notice)

    async def invoke(
        self, key: str, payload: JSONValue, notice: Notice, *, provider: str = ""
    ) -> ActionAnswer:
        """Run the action in this process, and send its result as *notice* says.

        Everything that is wrong with the routes is told before anything is done.

        Raises:
            InvalidError: it is another action, or an override is given and nothing is sent.
            NoCandidateError: nobody may serve the action or the workflow.
            NotFoundError: nobody offers the provider of the override.
            InvalidMetadataError: the workflow's routes cannot be followed.
            OneiricError: the action failed, was refused or took too long.
        """
        sending = Sending(ComponentDesk(self._operator.orchestrator), key, notice, provider)
        async with self._operator.orchestrator.once():
            return await sending.done(payload)


class Sending:
    """A result of `workflow.notify` that is to be sent; what is wrong with it is told at once."""

    def __init__(self, desk: ComponentDesk, key: str, notice: Notice, provider: str) -> None:
        self._runtime = desk.runtime
        self._ref = desk.ref(key, domain="action", provider=provider)
        if self._ref.key != NOTIFY:
            raise InvalidError(f"{self._ref} gives nothing to send", hint=f"{NOTIFY} does")
        if not notice.send and notice.override != NOWHERE:
            raise InvalidError(
                "a route is given, and nothing to be sent", hint="--send-notification"
            )
        self._send = notice.send
        self._workflow, self._routes = _routes(desk, notice)

    async def done(self, payload: JSONValue, *, applied: str = "local") -> ActionAnswer:
        """Run the action in its runtime, which was entered, and send what it gave."""
        runtime, ref = self._runtime, self._ref
        candidate = runtime.resolver.resolve(ref)
        with runtime.telemetry.action(str(candidate.ref), candidate.provider):
            result = await runtime.actions.execute(ref.key, payload, provider=ref.provider)
        wanted = self._routes if self._send else ()
        outcomes = await runtime.notifications.send_all(result, wanted, workflow=self._workflow)
        answer = NotificationAnswer(self._workflow, self._routes, outcomes, asked=self._send)
        return ActionAnswer(str(candidate.ref), candidate.provider, result, applied, answer)


def _routes(desk: ComponentDesk, notice: Notice) -> tuple[str, tuple[NotificationRoute, ...]]:
    """Return the key of the workflow, and its routes with what is laid over them."""
    runtime, override = desk.runtime, notice.override
    if override.provider:
        runtime.lifecycle.check_known(override.ref)
    if not notice.workflow:
        return "", () if override == NOWHERE else (override,)
    ref = desk.ref(notice.workflow, domain="workflow")
    bodies = ComponentBodies(runtime.lifecycle, runtime.actions)
    found = routes_of(read_workflow(runtime.resolver.resolve(ref), bodies).candidate)
    if not found and override != NOWHERE:
        return ref.key, (override,)
    laid = [override.over(route) for route in found]
    return ref.key, tuple(each for n, each in enumerate(laid) if each not in laid[:n])
