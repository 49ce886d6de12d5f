"""What a person can ask about how everything stands, and what the profile decides."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from time import monotonic
from typing import TYPE_CHECKING, Any

from oneiric.config.sections import Config
from oneiric.core.activity import ActivityState
from oneiric.core.generation import LifecycleState
from oneiric.core.guard import attempt_async
from oneiric.core.health import HealthReport
from oneiric.domains import ALL, DomainSettings
from oneiric.errors import InvalidError, NotFoundError, OneiricError
from oneiric.runtime.health import HealthFile, stale
from oneiric.runtime.health_answers import (
    HealthAnswer,
    ManifestProof,
    Probe,
    ProfileToggles,
    SupervisorAnswer,
    Toggle,
)
from oneiric.runtime.remote_source import applied
from oneiric.runtime.serving import health_path
from oneiric.to_end import run_to_end

if TYPE_CHECKING:
    from oneiric.core.decision import Decision
    from oneiric.core.ref import ComponentRef
    from oneiric.core.status import ComponentStatus
    from oneiric.remote.report import Preview
    from oneiric.runtime.live import Live
    from oneiric.runtime.operator import Operator

_AT_ONCE = 8
_MOST = 200
_DOMAINS = ("adapter", "service")


class HealthOperator:
    """Answer for `health` and `supervisor-info`, from the runtime of an operator."""

    def __init__(self, operator: Operator) -> None:
        self._operator = operator

    def health(self, *, probes: bool = False, manifest: str = "", trust: str = "") -> HealthAnswer:
        """Return how the orchestrator of the folder stands, and how this process does.

        One that runs is asked, and with *probes* whether what is up in it is healthy. Else it is
        told what the last one wrote, and with *probes* what is selected, and services that are
        configured or of *manifest*, are brought up here, asked, and closed again; what is paused
        is left alone. So they are where a *manifest* is named, whoever runs: a local file; it is
        verified, and nothing is remembered of it.

        Raises:
            InvalidError: the manifest is no local file.
            UnavailableError: one runs, and does not answer.
            OneiricError: it may not be applied; more is to be probed than can be.
        """
        if manifest.partition("://")[0] in ("http", "https"):
            raise InvalidError("health looks at a local manifest only", hint="--manifest FILE")
        runtime = self._operator.orchestrator
        live = None if manifest else self._operator.live
        if live is not None:
            now, secrets = live.ask("health", {}).document, runtime.secrets.status()
            found = tuple(_asked(live)) if probes else None
            return HealthAnswer(now, "", self._toggles, secrets, probes=found, where="live")
        told = HealthFile(health_path(runtime)).read()
        reason = stale(told, runtime.clock.now()) if told else ""

        async def looked() -> HealthAnswer:
            # not entered: whoever enters tells other processes so, in a file
            try:
                previews = await applied(runtime, manifest, trust=trust) if manifest else ()
                asked = await self._probed(previews) if probes else None
                return HealthAnswer(
                    told,
                    reason,
                    self._toggles,
                    runtime.secrets.status(),
                    statuses=tuple(runtime.lifecycle.statuses()),
                    probes=asked,
                    proofs=tuple(ManifestProof.of(each, manifest) for each in previews),
                )
            finally:
                await runtime.end()

        return run_to_end(looked())

    def supervisor(self) -> SupervisorAnswer:
        """Return what the profile decides and who said so, and the order of secrets providers."""
        runtime = self._operator.orchestrator
        config, store = runtime.config, runtime.activity.store.path
        return SupervisorAnswer(
            self._toggles, runtime.secrets.status(), str(store), str(config.file or "")
        )

    async def _probed(self, previews: Sequence[Preview]) -> tuple[Probe, ...]:
        named = {each.source.name for each in previews}
        chosen = list(self._chosen(named))
        if len(chosen) > _MOST:
            raise InvalidError(f"{len(chosen)} components are to be probed, more than {_MOST}")
        slots = asyncio.Semaphore(_AT_ONCE)

        async def ask(ref: ComponentRef[Any]) -> Probe:
            async with slots:
                return await self._ask(ref)

        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(ask(decision.ref)) for decision in chosen]
        return tuple(task.result() for task in tasks)

    async def _ask(self, ref: ComponentRef[Any]) -> Probe:
        """Bring a component up and ask it, within the limits of its phases."""
        lifecycle, clock = self._operator.orchestrator.lifecycle, self._operator.orchestrator.clock
        begun = clock.monotonic()
        status: ComponentStatus | None = None
        outcome = await attempt_async(lifecycle.activate(ref))
        if outcome.error is None:
            status, report = outcome.value, await lifecycle.probe(ref)
        else:
            error = outcome.error
            told = error.message if isinstance(error, OneiricError) else outcome.reason
            report = HealthReport(healthy=False, detail=told)
        spent = (clock.monotonic() - begun) * 1000
        return Probe(str(ref), status.provider if status else "", report, spent)

    def _chosen(self, named: set[str]) -> Iterator[Decision]:
        """Yield what an operator chose: selected, or a service that is configured or named."""
        runtime = self._operator.orchestrator
        for domain in _DOMAINS:
            settings = runtime.config.section(ALL[domain].section)
            assert isinstance(settings, DomainSettings)
            for ref in runtime.resolver.registry.refs(domain):
                decision = runtime.resolver.explain(ref)
                winner = decision.winner
                if runtime.lifecycle.activity.get(ref).state is not ActivityState.ACTIVE:
                    continue
                if decision.selection is not None:
                    yield decision
                elif domain == "service" and winner is not None:
                    own = {winner.provider, f"{ref.key}@{winner.provider}"}
                    if own & settings.provider_settings.keys() or winner.source.name in named:
                        yield decision

    @property
    def _toggles(self) -> ProfileToggles:
        config = self._operator.orchestrator.config
        remote = _toggle(config, "remote", "enabled")
        return ProfileToggles(
            name=config.profile,
            watchers=_toggle(config, "watch", "enabled"),
            remote=remote,
            inline_manifest_only=Toggle(is_on=not remote.is_on, origin=remote.origin),
            supervisor=_toggle(config, "runtime_supervisor", "enabled"),
        )


def _asked(live: Live) -> Iterator[Probe]:
    """Yield what everything says that is up in the orchestrator that runs, and takes work."""
    rows = live.ask("status", {}).document["status"]
    assert isinstance(rows, list)
    for row in rows:
        if (
            row["state"] == LifecycleState.READY
            and row["activity"]["state"] == ActivityState.ACTIVE
        ):
            begun = monotonic()
            told = live.ask("probe", {"ref": row["ref"]}).document
            data = told["data"] if isinstance(told["data"], dict) else {}
            report = HealthReport(
                healthy=told["healthy"] is True, detail=str(told["detail"]), data=data
            )
            yield Probe(row["ref"], row["provider"], report, (monotonic() - begun) * 1000)


def _toggle(config: Config, section: str, key: str) -> Toggle:
    """Return a setting that is on or off; off where this version has no such section."""
    try:
        value = getattr(config.section(section), key)
    except NotFoundError:
        return Toggle(is_on=False, origin="not part of this version")
    return Toggle(is_on=bool(value), origin=config.origin(f"{section}.{key}"))
