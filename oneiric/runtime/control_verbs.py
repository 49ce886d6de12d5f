"""What each verb does on the orchestrator that runs."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from importlib_metadata import version

from oneiric.core.activity import ACTIVE
from oneiric.domains.events import Event
from oneiric.errors import UnavailableError
from oneiric.runtime.activity_answers import ActivityChange
from oneiric.runtime.answers import ActionAnswer, SwapAnswer
from oneiric.runtime.component_desk import ComponentDesk
from oneiric.runtime.control_answers import Ping, ProbeAnswer, ReloadAnswer, Standing, StopAnswer
from oneiric.runtime.drain import drained
from oneiric.runtime.event_operator import emitted
from oneiric.runtime.notification_operator import Notice, Sending
from oneiric.runtime.operator import invoked
from oneiric.runtime.remote_answers import PreviewAnswer, SyncAnswer
from oneiric.runtime.remote_operator import source_of, status_of
from oneiric.runtime.work_answers import EnqueueAnswer
from oneiric.runtime.workflows import key_of, planned, ran

if TYPE_CHECKING:
    from oneiric.core.ref import ComponentRef
    from oneiric.runtime.answer import Answer
    from oneiric.runtime.event_answers import Emission
    from oneiric.runtime.health import RuntimeHealthSnapshot
    from oneiric.runtime.orchestrator import RuntimeOrchestrator
    from oneiric.runtime.remote_answers import RemoteStatusAnswer
    from oneiric.runtime.rotation_report import RotationReport
    from oneiric.runtime.work import Work
    from oneiric.runtime.work_answers import WorkflowAnswer, WorkflowPlans
    from oneiric.web.control import protocol

LIVE = "live"


@dataclass(frozen=True, slots=True)
class Control:
    """What runs, and is asked: a runtime that was entered, and what works over it.

    Args:
        runtime: whose components answer.
        work: who runs workflows; without it none are run.
        ready: tells what is in the way of being ready.
        stop: ends it, as SIGTERM would; called on its loop.
        follow: has what is up follow the configuration, where nobody does so yet.
        since: when that began.
        standing: tells how all of it stands; without it nobody knows.
    """

    runtime: RuntimeOrchestrator
    work: Work | None
    ready: Callable[[], Sequence[str]]
    stop: Callable[[], object]
    follow: Callable[[], object]
    since: str
    standing: Callable[[], Awaitable[RuntimeHealthSnapshot]] | None = None

    @property
    def desk(self) -> ComponentDesk:
        """Who answers about components."""
        return ComponentDesk(self.runtime, applied=LIVE)

    def ref(self, asks: protocol.Component) -> ComponentRef[Any]:
        """Return the component that is meant."""
        return self.desk.ref(asks.ref, domain=asks.domain, key=asks.key)

    def working(self) -> Work:
        """Return who runs workflows.

        Raises:
            UnavailableError: nobody does.
        """
        if self.work is None:
            raise UnavailableError("this orchestrator runs no workflows")
        return self.work


async def _ping(control: Control, _asks: protocol.Nothing) -> Ping:
    runtime = control.runtime
    config = runtime.config
    return Ping(
        os.getpid(),
        version("oneiric"),
        control.since,
        str(config.folder.absolute()),
        str(config.file or ""),
        config.profile,
        tuple(control.ready()),
    )


async def _health(control: Control, _asks: protocol.Nothing) -> Standing:
    if control.standing is None:
        raise UnavailableError("this orchestrator does not tell how it stands")
    return Standing(await control.standing())


async def _status(control: Control, asks: protocol.OfDomain) -> Answer:
    return control.desk.status(domain=asks.domain)


async def _list(control: Control, asks: protocol.Listed) -> Answer:
    listed = partial(control.desk.list, domain=asks.domain, shadowed=asks.shadowed)
    return await asyncio.to_thread(listed)


async def _explain(control: Control, asks: protocol.Explained) -> Answer:
    return control.desk.explain(
        asks.ref,
        domain=asks.domain,
        key=asks.key,
        provider=asks.provider,
        needs=asks.needs,
        assume=asks.assume,
    )


async def _activity(control: Control, asks: protocol.OfDomain) -> Answer:
    return await asyncio.to_thread(partial(control.desk.activity, domain=asks.domain))


async def _swap(control: Control, asks: protocol.Swapped) -> SwapAnswer:
    runtime, desk = control.runtime, control.desk
    plan = await asyncio.to_thread(
        partial(desk.planned_swap, asks.ref, provider=asks.provider, clear=asks.clear)
    )
    place, provider = plan.place, plan.provider
    cleared = plan.ends_stored or (asks.clear and place in runtime.resolver.rules.swapped)
    if asks.dry_run or not (provider or cleared):
        return SwapAnswer(
            place, provider, LIVE, plan.changes, dry_run=asks.dry_run, cleared=cleared
        )
    if not runtime.resolver.registry.offers(place):  # nobody fills it, so nothing can be swapped
        await asyncio.to_thread(partial(runtime.stored.remember, place, provider=""))
        runtime.resolver.unselect(place)
        return SwapAnswer(place, "", LIVE, plan.changes, cleared=True)
    report = await runtime.swap(place, provider=provider, clear=asks.clear, actor=asks.actor)
    changes = plan.changes if report.ok else ()
    return SwapAnswer(place, provider, LIVE, changes, cleared=cleared and report.ok, report=report)


async def _rollback(control: Control, asks: protocol.RolledBack) -> SwapAnswer:
    ref = control.ref(asks)
    control.runtime.lifecycle.check_known(ref)
    report = await control.runtime.rollback(ref, actor=asks.actor)
    return SwapAnswer(report.ref.place, report.after, LIVE, (), report=report)


async def _pause(control: Control, asks: protocol.Paused) -> ActivityChange:
    pause = partial(control.runtime.pause, note=asks.note, actor=asks.actor)
    return await _changed(control, control.ref(asks), pause)


async def _resume(control: Control, asks: protocol.Resumed) -> ActivityChange:
    resume = partial(control.runtime.resume, actor=asks.actor)
    return await _changed(control, control.ref(asks), resume)


async def _drain(control: Control, asks: protocol.Drained) -> ActivityChange:
    """Drain here at once, and if it is to be waited for, wait for every process of the folder."""
    runtime, ref = control.runtime, control.ref(asks)
    limits = runtime.lifecycle.builder.limits
    drain = partial(runtime.drain, limit=0.0, note=asks.note, actor=asks.actor)
    change = await _changed(control, ref, drain)
    if not asks.wait:
        return change
    shares = await drained(
        runtime.activity.store,
        ref,
        clock=runtime.clock,
        interval=runtime.activity.interval,
        limit=limits.drain if asks.limit is None else asks.limit,
        told=lambda _: None,
    )
    return replace(change, shares=shares)


async def _changed(
    control: Control, ref: ComponentRef[Any], change: Callable[[str], Awaitable[object]]
) -> ActivityChange:
    follower = control.runtime.activity
    before = (await asyncio.to_thread(follower.store.snapshot)).get(ref, ACTIVE)
    await change(ref)
    stored = await asyncio.to_thread(follower.store.snapshot)
    place = stored.get(ref.place, ACTIVE) if ref.provider else ACTIVE
    return ActivityChange(
        str(ref), before, stored.get(ref, ACTIVE), place, follower.interval, applied=LIVE
    )


async def _probe(control: Control, asks: protocol.Component) -> ProbeAnswer:
    ref = control.ref(asks)
    control.runtime.lifecycle.check_known(ref)
    return ProbeAnswer(str(ref), await control.runtime.lifecycle.probe(ref))


async def _remote_status(control: Control, _asks: protocol.Nothing) -> RemoteStatusAnswer:
    return await asyncio.to_thread(partial(status_of, control.runtime, applied=LIVE))


async def _remote_sync(control: Control, asks: protocol.Synced) -> Answer:
    runtime = control.runtime
    source = await asyncio.to_thread(partial(source_of, runtime, asks.manifest, trust=asks.trust))
    if asks.dry_run:
        return PreviewAnswer(await runtime.remote.preview(source), LIVE)
    report = await runtime.sync_remote(source)
    return SyncAnswer(report, LIVE, tuple(runtime.warnings()))


async def _secrets_rotate(control: Control, asks: protocol.Rotated) -> RotationReport:
    return await control.runtime.secrets.rotate(asks.keys, every=asks.every)


async def _workflow_plan(control: Control, asks: protocol.Planned) -> WorkflowPlans:
    return planned(control.working(), asks.workflow, mermaid=asks.mermaid, applied=LIVE)


async def _workflow_run(control: Control, asks: protocol.Run) -> WorkflowAnswer:
    told: list[str] = []
    answer = await ran(
        control.working(),
        key_of(asks.workflow),
        asks.context,
        resume=asks.resume,
        force=asks.force,
        notice=told.append,
        applied=LIVE,
    )
    return replace(answer, notices=tuple(told))


async def _workflow_enqueue(control: Control, asks: protocol.Queued) -> EnqueueAnswer:
    enqueued = await control.working().workflows.enqueue(
        key_of(asks.workflow),
        asks.context,
        metadata=asks.metadata,
        category=asks.category,
        queue=asks.queue,
    )
    return EnqueueAnswer(enqueued, LIVE)


async def _event_emit(control: Control, asks: protocol.Emitted) -> Emission:
    runtime = control.runtime
    event = Event.of(asks.topic, asks.payload, clock=runtime.clock)
    return await emitted(runtime, event, applied=LIVE)


async def _action_invoke(control: Control, asks: protocol.Invoked) -> ActionAnswer:
    desk = control.desk
    if asks.notice is None:
        ref = desk.ref(asks.action, domain="action", provider=asks.provider)
        return await invoked(control.runtime, ref, asks.payload, applied=LIVE)
    notice = Notice.said(**asks.notice.model_dump())
    sending = Sending(desk, asks.action, notice, asks.provider)
    return await sending.done(asks.payload, applied=LIVE)


async def _reload(control: Control, _asks: protocol.Nothing) -> ReloadAnswer:
    control.follow()
    await control.runtime.watcher.refresh()
    return ReloadAnswer(control.runtime.watcher.status())


async def _stop(control: Control, _asks: protocol.Nothing) -> StopAnswer:
    asyncio.get_running_loop().call_soon(control.stop)
    return StopAnswer(os.getpid())


DONE: Mapping[str, Callable[[Control, Any], Awaitable[Answer]]] = MappingProxyType(
    {
        "action-invoke": _action_invoke,
        "activity": _activity,
        "drain": _drain,
        "event-emit": _event_emit,
        "explain": _explain,
        "health": _health,
        "list": _list,
        "pause": _pause,
        "ping": _ping,
        "probe": _probe,
        "reload": _reload,
        "remote-status": _remote_status,
        "remote-sync": _remote_sync,
        "resume": _resume,
        "rollback": _rollback,
        "secrets-rotate": _secrets_rotate,
        "status": _status,
        "stop": _stop,
        "swap": _swap,
        "workflow-enqueue": _workflow_enqueue,
        "workflow-plan": _workflow_plan,
        "workflow-run": _workflow_run,
    }
)
"""Each verb of `web.control.protocol.VERBS`, and what does it."""
