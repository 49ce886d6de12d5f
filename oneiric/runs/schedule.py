"""What is to be done next, decided from how a run stands: without waiting, without doing it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from heapq import heappop, heappush

from oneiric.chains import Frontier
from oneiric.clock import rfc3339
from oneiric.documents import digest
from oneiric.documents.copies import plain
from oneiric.documents.tables import write_table
from oneiric.errors import InvalidError, JSONValue
from oneiric.expressions import Condition, Template
from oneiric.runs.event import Data, EventKind, RunEvent
from oneiric.runs.plan import OnError, Step
from oneiric.runs.run import UNDO, Run, StepRun
from oneiric.runs.state import RunState, StepState

_QUIET = (EventKind.STEP_STARTED, EventKind.CONTEXT_SET, EventKind.NOTED)
_HALTED = ("run-timeout", "run-canceled")
_MAIN, _UNDO, _FINAL = range(3)


@dataclass(frozen=True, slots=True)
class Launch:
    """A step whose body is to be called, on which input; a cached result may stand in."""

    step: Step
    attempt: int
    input: JSONValue
    cache_key: str = ""


class Schedule:
    """Decide about one run, and keep count so that no decision looks at every step.

    Each event is applied to the run as soon as it is decided, and gathered in `events` for
    the journal. `stops` are the steps whose bodies are to be stopped; `busy` are those that
    were launched. Call `tick` before whatever depends on time.
    """

    def __init__(self, run: Run, chance: Callable[[], float], max_bytes: int) -> None:
        self.run = run
        self.events: list[RunEvent] = []
        self.stops: list[str] = []
        self.busy: set[str] = set()
        self.is_final = False
        self._chance = chance
        self._max_bytes = max_bytes
        self._now = 0.0
        self._date = datetime.min.replace(tzinfo=UTC)
        self._at = ""

    def tick(self, now: float, date: datetime) -> None:
        """Tell what time it is: by the steady count, and by the calendar."""
        self._now, self._date, self._at = now, date, rfc3339(date)

    @property
    def wake_at(self) -> float | None:
        """When to decide again even if nothing happens, by the steady count."""
        return self._timers[0][0] if self._timers else None

    def index(self) -> None:
        """Count anew, for a run that was begun elsewhere or whose plan has changed."""
        steps = self.run.steps
        waits = {
            name: [b for b in step.step.depends_on if not steps[b].state.is_over]
            for name, step in steps.items()
        }
        self._frontier = Frontier(waits)
        self._left = [0, 0, 0]
        self._timers: list[tuple[float, str]] = []
        self._held: dict[str, list[tuple[int, str]]] = {}
        self._in_group: dict[str, set[str]] = {}
        self.is_final = False
        self._stopped: tuple[str, int] = ("", 0)
        failed = [step for step in steps.values() if step.state is StepState.FAILED]
        self._has_failed = any(each.step.on_error is not OnError.CONTINUE for each in failed)
        self._timed_out = any(step.reason == "run-timeout" for step in steps.values())
        for name, step in steps.items():
            if not step.state.is_over:
                self._left[_phase(step.step)] += 1
                self._place_open(name, step)
        if self.run.plan.timeout_seconds is not None:
            since = self.run.started_at or self._at
            self._alarm("", since, self.run.plan.timeout_seconds * 1000)

    def _place_open(self, name: str, step: StepRun) -> None:
        if name in self.busy or step.state is not StepState.QUEUED:
            self._in_group.setdefault(step.step.group, set()).add(name)
        if step.wait_ms is not None:
            self._alarm(name, step.since, step.wait_ms)
        elif self._frontier.is_free(name) and _phase(step.step) != _FINAL:
            self._frontier.add(name)

    def _alarm(self, name: str, since: str, wait_ms: float) -> None:
        """Ring for *name* when a wait that began at a date is over; a wrong date costs no more."""
        gone = (self._date - datetime.fromisoformat(since)).total_seconds()
        left = min(max(wait_ms / 1000 - gone, 0.0), wait_ms / 1000)
        heappush(self._timers, (self._now + left, name))

    def emit(self, kind: EventKind, step: str, data: Data) -> None:
        """Let something be true of the run, and gather it for the journal."""
        event = RunEvent(self.run.run_id, kind, self._at, step, data)
        self.run.apply(event)
        self.events.append(event)
        if step and kind not in _QUIET:
            self._moved(step, self.run.steps[step])

    def _moved(self, name: str, step: StepRun) -> None:
        """Count a step that is no longer worked on."""
        self.busy.discard(name)
        if step.state is StepState.ASSIGNED:
            self._stopped = ("", 0)
        elif group := step.step.group:
            self._in_group.setdefault(group, set()).discard(name)
            if held := self._held.get(group):
                self._frontier.add(heappop(held)[1])
        if step.wait_ms is not None:
            self._alarm(name, step.since, step.wait_ms)
        if not step.state.is_over:
            return
        self._left[_phase(step.step)] -= 1
        if step.state is StepState.FAILED and step.step.on_error is not OnError.CONTINUE:
            self._has_failed = True
        for after in self._frontier.done(name):
            if self.is_final or not self.run.steps[after].step.is_final:
                self._frontier.add(after)

    def fail(self, name: str, error: Data, kinds: frozenset[str], signal: int = 0) -> None:
        """Let an attempt have failed, and the step with it unless it is to be tried again."""
        step = self.run.steps[name]
        retry, tried = step.step.retry, len(step.failures) + 1
        data: Data = {"attempt": step.attempt, "error": error}
        data = {**data, "signal": signal} if signal else data
        is_wanted = not retry.on or not kinds.isdisjoint(retry.on)
        if tried < retry.attempts and is_wanted and not self._stop_reason(_phase(step.step)):
            delay = retry.backoff.delay(tried, chance=self._chance())
            self.emit(EventKind.STEP_RETRIED, name, {**data, "delay_ms": delay * 1000})
        else:
            self.emit(EventKind.STEP_FAILED, name, data)

    def postpone(self, name: str, seconds: float) -> None:
        """Try a step that has not begun again after *seconds*."""
        self._moved(name, self.run.steps[name])
        heappush(self._timers, (self._now + seconds, name))

    def decide(self) -> list[Launch]:
        """Let everything be true that follows now, and return the steps to launch."""
        launches: list[Launch] = []
        is_over = self.run.state.is_over
        self._heed_signals()
        self._heed_time()
        while not is_over:
            self._stop()
            launches += self._begin_ready()
            is_over = not (self._heed_signals() or self._go_on())
        return launches

    def _heed_signals(self) -> bool:
        """Complete what waits for a signal that is there, and tell whether anything did."""
        before = len(self.events)
        run = self.run
        for seq, event in list(run.signals.items()) if run.assigned else ():
            if seq not in run.signals:  # it said what another had said
                continue
            data = event.data
            for name in [event.step] if event.step else list(run.assigned):
                if name in run.assigned and run.steps[name].signal == data["name"]:
                    error = data.get("error")
                    if isinstance(error, Mapping):
                        self.fail(name, error, frozenset({str(error["code"])}), seq)
                    else:
                        done = {"result": data.get("value"), "signal": seq}
                        self.emit(EventKind.STEP_SUCCEEDED, name, done)
                    break
        return len(self.events) > before

    def _heed_time(self) -> None:
        while self._timers and self._timers[0][0] <= self._now:
            _, name = heappop(self._timers)
            step = self.run.steps.get(name)
            if step is None:
                self._timed_out = True
            elif step.state is StepState.QUEUED and name not in self.busy:
                self._frontier.add(name)
            elif step.state is StepState.ASSIGNED:
                if step.step.default is not None:
                    done = {"result": step.step.default, "reason": "timeout"}
                    self.emit(EventKind.STEP_SUCCEEDED, name, done)
                else:
                    message = f"no signal {step.signal} came in time"
                    self.fail(name, {"code": "timeout", "message": message}, frozenset({"timeout"}))

    def _stop_reason(self, phase: int) -> str:
        """Return why steps of *phase* shall not go on, or an empty string."""
        if self.run.cancels and (phase == _MAIN or len(self.run.cancels) > 1):
            return "run-canceled"
        if phase != _MAIN:
            return ""
        if self._timed_out:
            return "run-timeout"
        return "run-failed" if self._has_failed and self.run.plan.fail_fast else ""

    def _stop(self) -> None:
        """Stop what shall not go on; what has begun may end if it was another step that failed."""
        why = (self._stop_reason(_MAIN), len(self.run.cancels))
        if why == self._stopped:
            return
        self._stopped = why
        for name, step in self.run.steps.items():
            reason = self._stop_reason(_phase(step.step))
            if step.state.is_over or not reason:
                continue
            if name in self.busy:
                if reason != "run-failed" or step.state is StepState.QUEUED:
                    self.stops.append(name)
            elif step.failures and reason == "run-failed":
                data: Data = {"attempt": step.attempt, "error": step.failures[-1]}
                self.emit(EventKind.STEP_FAILED, name, data)
            else:
                self.emit(EventKind.STEP_CANCELED, name, {"reason": reason})

    def stopped(self, name: str) -> None:
        """Let the body of a step have ended because it was stopped."""
        reason = self._stop_reason(_phase(self.run.steps[name].step)) or "run-canceled"
        self.emit(EventKind.STEP_CANCELED, name, {"reason": reason})

    def _begin_ready(self) -> Iterator[Launch]:
        for name in self._frontier.taken():
            step = self.run.steps[name]
            group = step.step.group
            taken = self._in_group.setdefault(group, set()) if group else set()
            if name in self.busy or step.state not in (StepState.QUEUED, StepState.RUNNING):
                continue
            before = [self.run.steps[each] for each in step.step.depends_on]
            if _phase(step.step) == _MAIN and not all(each.is_met for each in before):
                self.emit(EventKind.STEP_CANCELED, name, {"reason": "dependency"})
            elif group and len(taken - {name}) >= self.run.plan.groups[group]:
                heappush(self._held.setdefault(group, []), (self._frontier.place[name], name))
            else:
                taken.add(name)
                if launch := self._begin(name, step):
                    self.busy.add(name)
                    yield launch

    def _begin(self, name: str, run: StepRun) -> Launch | None:
        """Make the input of a step; it is launched unless it ends here, or waits for a signal."""
        step = run.step
        try:
            if step.condition and not self._made(Condition.parse(step.condition)):
                self.emit(EventKind.STEP_CANCELED, name, {"reason": "condition"})
                return None
            value = step.input
            if value is not None:
                value = plain(self._made(Template.parse(value)), self._max_bytes)
            key = self._made(Template.parse(step.cache_key)) if step.cache_key else None
        except InvalidError as error:
            why: Data = {"attempt": run.attempt, "error": error.as_json()["error"]}
            self.emit(EventKind.STEP_FAILED, name, why)
            return None
        if not step.target:
            self.assign(name, value)
            return None
        cache_key = digest([key, step.target, value]) if step.cache_key else ""
        return Launch(step, run.attempt + 1, value, cache_key)

    def _made(self, expression: Template | Condition) -> JSONValue:
        """Return the value of an expression, which sees only the steps that it refers to."""
        steps, over = self.run.steps, dict[str, JSONValue]()
        for reference in expression.references:
            if reference[0] == "steps":
                names = reference[1:2] or steps
                over |= {name: _seen(steps[name]) for name in names if steps[name].state.is_over}
        scope = {"input": self.run.input, "context": self.run.context.values, "steps": over}
        return expression.evaluate(scope)

    def assign(
        self, name: str, prompt: JSONValue, signal: str = "", timeout_seconds: float | None = None
    ) -> None:
        """Let a step wait for a signal from outside."""
        step = self.run.steps[name].step
        data: dict[str, JSONValue] = {"signal": step.signal or signal, "prompt": prompt}
        seconds = step.timeout_seconds if timeout_seconds is None else timeout_seconds
        if seconds is not None:
            data["timeout_ms"] = seconds * 1000
        self.emit(EventKind.STEP_ASSIGNED, name, data)

    def _go_on(self) -> bool:
        """Turn to undoing, then to the final steps, then to the end, as soon as it is time."""
        run = self.run
        if self._left[_MAIN] or self._left[_UNDO] or run.state.is_over:
            return False
        if undo := self._undo():
            self.extend(undo)
            return True
        if not self._left[_FINAL]:
            self._end()
        if self.run.state.is_over or self.is_final:
            return False
        self.is_final = True
        for name, step in run.steps.items():
            if step.step.is_final and self._frontier.is_free(name) and not step.state.is_over:
                self._frontier.add(name)
        return True

    def extend(self, steps: Sequence[Step]) -> None:
        """Add steps to the run."""
        self.emit(EventKind.RUN_EXTENDED, "", {"steps": [write_table(step) for step in steps]})
        self.index()

    def _undo(self) -> list[Step]:
        """Return the steps that undo others, the latest first, if a failure asks for them."""
        steps, found = self.run.steps, list[Step]()
        ended = [each for each in steps.values() if each.reason in _HALTED or each.error]
        if all(each.step.on_error is not OnError.COMPENSATE for each in ended):
            return found
        for each in sorted(steps.values(), key=lambda step: -step.rank):
            step, name = each.step, UNDO + each.step.id
            if each.rank and step.compensation and name not in steps:
                before = (step.id, *(last.id for last in found[-1:]))
                undo = Step(name, step.compensation, f"${{ steps['{step.id}'].output }}", before)
                found.append(replace(undo, retry=step.retry, on_error=OnError.CONTINUE))
        return found

    def _end(self) -> None:
        state, error = RunState.SUCCEEDED, None
        failed = {
            each.step.id: each.error or {}
            for each in sorted(self.run.steps.values(), key=lambda each: each.ended_at)
            if each.state is StepState.FAILED and each.step.on_error is not OnError.CONTINUE
        }
        if failed or self._timed_out:
            state = RunState.FAILED
            texts = [f"{name}: {why.get('message')}" for name, why in failed.items()]
            texts += ["it took longer than its plan allows"] if self._timed_out else []
            code = next((why["code"] for why in failed.values()), "timeout")
            error = {"code": code, "message": "; ".join(texts), "failed": failed}
        state = RunState.CANCELED if self.run.cancels else state
        self.emit(EventKind.RUN_ENDED, "", {"state": str(state), "error": error})


def _seen(step: StepRun) -> Data:
    """Return what expressions see of a step that is over."""
    seen: Data = {"state": str(step.state), "error": step.error}
    return {**seen, "output": step.result} if step.state is StepState.SUCCEEDED else seen


def _phase(step: Step) -> int:
    return _FINAL if step.is_final else _UNDO if step.id.startswith(UNDO) else _MAIN
