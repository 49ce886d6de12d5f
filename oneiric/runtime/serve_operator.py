"""What a person can ask of a long-running orchestrator: run one, try one, look at what it has."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TYPE_CHECKING

from oneiric.errors import NotFoundError
from oneiric.runtime.remote_source import applied
from oneiric.runtime.serve_answers import CheckAnswer, InspectAnswer
from oneiric.runtime.telemetry_file import TelemetryFile
from oneiric.runtime.workflows import WorkDesk
from oneiric.to_end import run_to_end

if TYPE_CHECKING:
    from oneiric.errors import JSONValue
    from oneiric.runtime.operator import Operator
    from oneiric.runtime.serving import ServeOptions, Serving
    from oneiric.runtime.stop import ServeSignals
    from oneiric.runtime.work_answers import WorkflowPlans


class ServeOperator:
    """Answer for `orchestrate`, from the runtime of an operator."""

    def __init__(self, operator: Operator) -> None:
        self._operator = operator

    def serve(
        self, options: ServeOptions, *, stop: ServeSignals, told: Callable[[str], object]
    ) -> None:
        """Run an orchestrator until SIGTERM or SIGINT; *told* hears when it is ready.

        A second signal hurries; at SIGHUP everything is read anew.

        Raises:
            OrchestratorRunsError: there is one in the folder already.
            OneiricError: a part could not be started, or failed too often.
        """
        runtime = self._operator.orchestrator

        async def served() -> None:
            serving = runtime.serve(options)
            stop.then(serving.stop)
            stop.then_reload(serving.reload)
            async with serving:
                if serving.ready:
                    told(f"ready: {_where(serving)}")
                await serving.until_stopped()
            told("stopped")

        run_to_end(served())

    def check(self, options: ServeOptions, *, stop: ServeSignals) -> CheckAnswer:
        """Start everything, be ready, and end it again; what took how long is in the answer.

        A signal before it is ready ends it too, and then the command as any that is cut short.

        Raises:
            OrchestratorRunsError: there is one in the folder already.
            OneiricError: a part could not be started, or did not end in order.
        """
        runtime = self._operator.orchestrator

        async def checked() -> CheckAnswer | None:
            serving = runtime.serve(options)
            stop.then(serving.stop)
            begun = runtime.clock.monotonic()
            async with serving:
                if not serving.ready:
                    return None
                spent = (runtime.clock.monotonic() - begun) * 1000
                parts, addresses = tuple(serving.statuses.values()), dict(serving.addresses)
            return CheckAnswer(parts, spent, addresses, runtime.config.profile)

        return run_to_end(checked()) or stop.pass_on()

    def inspect(self, workflow: str = "", *, manifest: str = "", trust: str = "") -> InspectAnswer:
        """Return workflows, or one, and handlers as an orchestrator would have them.

        Nothing is brought up and nothing is written. One that does not exist is `missing`.

        Raises:
            OneiricError: the manifest cannot be had, or may not be applied.
        """
        runtime = self._operator.orchestrator
        if manifest:
            run_to_end(self._with(manifest, trust))
        plans: WorkflowPlans | None = None
        try:
            plans = WorkDesk(runtime).plan(workflow)
        except NotFoundError:
            if not workflow:
                raise
        missing = () if plans else (workflow,)
        events = runtime.events
        return InspectAnswer(plans, missing, events.handlers(), events.problems, self._last())

    async def _with(self, manifest: str, trust: str) -> None:
        runtime = self._operator.orchestrator
        try:  # not entered: whoever enters tells other processes so, in a file
            await applied(runtime, manifest, trust=trust)
        finally:
            await runtime.end()

    def _last(self) -> JSONValue:
        """Return the last event that any process told of, or None."""
        kept = TelemetryFile.read(self._operator.orchestrator.paths.telemetry)
        return kept.document.get("last_event")


def _where(serving: Serving) -> str:
    """Return in words which process it is, and where it can be asked."""
    at = {name: serving.addresses.get(name, "-") for name in ("http", "control")}
    return f"pid {os.getpid()}, http {at['http']}, control {at['control']}"
