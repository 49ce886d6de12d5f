"""A task as a plan: what the engine does, and in which order."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from oneiric.documents import digest
from oneiric.errors import InvalidError, JSONValue, Problem, RefusedError
from oneiric.ports.gatekeeper import Asked
from oneiric.runs.plan import OnError, Plan, Step
from oneiric.text.names import is_name
from oneiric.validation.checks.spec import LiveCheck, SpecCheck, UICheck
from oneiric.validation.commands import arguments, deployment
from oneiric.validation.errors import TaskError, TaskRefusedError
from oneiric.validation.joining import Joined, joined
from oneiric.validation.local import LOCAL, LocalRun, name_of
from oneiric.validation.models import StandardCheck, Task
from oneiric.validation.projection import OPENED
from oneiric.validation.proof import CUTOVER
from oneiric.validation.proving import KINDS
from oneiric.validation.refusing import refusal
from oneiric.validation.secrets import as_words, names_in
from oneiric.validation.settings import ValidationSettings
from oneiric.validation.targets import NAMING, is_path, meaning_of, placed

PREFIX = "validation:"
"""How the names of plans begin that are tasks."""

ONES = tuple(OPENED)
"""The steps with which the status of a task moves, in their order."""

GROUPS: Mapping[str, int] = MappingProxyType({"local": 1, "live": 16, "ui": 2})
"""How many local tests, checks, and checks in a browser are under way at once."""

_CAME_OF_IT = ("completed_at", "error", "outcome", "proofs", "run_id", "status")
_ORIGIN = "task"
_CONTEXT_SECONDS = 60.0
_NONE = "standard_checks: []"
_TARGETS: Mapping[str, str] = MappingProxyType(
    {
        kind: f"task:validation.{kind}"
        for kind in ("command", "check", "drift", "gate", "deploy", "note", "seal")
    }
)

_FILLED: Mapping[str, Sequence[str]] = MappingProxyType(
    {"live": ("url", "headers", "body"), "ui": ("url", "title", "text"), "spec": ()}
)
"""What of each kind of check may refer to secrets."""

Faults = Callable[[Sequence[Mapping[str, JSONValue]]], Iterable[Problem]]
"""Tells what is wrong with checks, as a validator does: keys begin with the check's number."""
Doubts = Callable[[Mapping[str, JSONValue]], Iterable[Problem]]
"""Tells what is wrong with a question about drift, as a detector does."""


@dataclass(frozen=True, slots=True)
class Compiled:
    """A task, the plan of its run, and the input that the plan refers to.

    What the task says is in the input alone, so that nothing in it is taken for an expression.
    """

    task: Task
    plan: Plan
    input: Mapping[str, JSONValue]
    asked: tuple[Asked, ...]


def declared(task: Task) -> dict[str, JSONValue]:
    """Return what a task says, without what came of it."""
    return task.model_dump(mode="json", exclude=set(_CAME_OF_IT))


def compile_task(
    task: Task,
    settings: ValidationSettings,
    *,
    faults: Faults = lambda _: (),
    doubts: Doubts = lambda _: (),
    notes: bool = True,
) -> Compiled:
    """Return the plan of a run of *task*.

    Args:
        task: what is tried; its status and proofs count for nothing.
        settings: where production and the repository are, and who deploys.
        faults: tells what else is wrong with the checks.
        doubts: tells what is wrong with the question about drift.
        notes: whether what is known is asked for first, and what came of it remembered.

    Raises:
        TaskError: everything that is wrong with the task; nothing was begun.
        TaskRefusedError: nothing is, but it asks what may not be asked here.
    """
    making = _Making(_settled(task, settings), settings)
    making.tests()
    making.drift(doubts)
    making.gate("validation", making.local_asked)
    making.deploy()
    making.checks(faults)
    making.cutover()
    making.production()
    if notes:
        making.notes()
    if making.problems:
        is_refused = len(making.refusals) == len(making.problems)
        error = TaskRefusedError if is_refused else TaskError
        hint = next((each.hint for each in making.refusals if each.hint), "")
        raise error(task.id, making.problems, hint=hint)
    plan = Plan(f"{PREFIX}{task.id}", tuple(making.steps), groups=dict(GROUPS))
    return Compiled(making.task, plan, {"steps": making.input}, tuple(making.asked))


def _settled(task: Task, settings: ValidationSettings) -> Task:
    """Return *task* with what the configuration says where it says nothing itself."""
    criteria = task.criteria
    if "required_proofs" in criteria.model_fields_set:
        return task
    told = criteria.model_copy(update={"required_proofs": settings.required_proofs})
    return task.model_copy(update={"criteria": told})


class _Making:
    """One pass over a task, which notes all that is wrong and goes on."""

    def __init__(self, task: Task, settings: ValidationSettings) -> None:
        self.task = task
        self.criteria = task.criteria
        self.settings = settings
        self.steps: list[Step] = []
        self.input: dict[str, JSONValue] = {}
        self.asked: list[Asked] = []
        self.problems: list[Problem] = []
        self.refusals: list[RefusedError] = []
        self.local_asked: list[Asked] = []
        self._after: tuple[str, ...] = ()
        self._made: list[str] = []
        self._known: dict[str, object] = {}
        self._counted: set[str] = set()

    def wrong(self, key: str, what: str) -> None:
        """Note what is wrong, and where in the task."""
        self.problems.append(Problem(key, what, _ORIGIN))

    def add(
        self,
        name: str,
        kind: str,
        given: Mapping[str, JSONValue],
        *,
        after: Iterable[str] | None = None,
        **more: Any,
    ) -> None:
        """Add a step, whose input is *given* and what earlier steps found."""
        found: Mapping[str, JSONValue] = more.pop("found", {})
        whole = {"task": self.task.id, "user": self.settings.test_user, **given}
        self.input[name] = whole
        asks = {"given": f"${{ input.steps['{name}'] }}", **found}
        before = self._after if after is None else tuple(after)
        self.steps.append(Step(name, _TARGETS[kind], asks, before, **more))

    def expect(self, key: str, asked: Asked, content: object) -> bool:
        """Note what a gate is to look for; the very same is not asked for again."""
        if asked.id not in self._known:
            self._known[asked.id] = content
            self.asked.append(asked)
            return True
        if self._known[asked.id] != content:
            self.wrong(key, f"another check has the id {asked.id}")
        return False

    def tests(self) -> None:
        """Add the local tests, one after another, and what they are judged by."""
        names: list[str] = []
        for number, test in enumerate(self.criteria.local_tests, 1):
            key = f"criteria.local_tests.{number - 1}"
            try:
                args = arguments(test.command)
            except InvalidError as error:
                self.wrong(key, error.message)
                continue
            run = LocalRun(
                check=test.name or name_of(args),
                args=args,
                cwd=self.settings.repo_path,
                timeout=test.timeout,
                env=test.env,
                user=self.settings.test_user,
            )
            counts = self._is_first(str((LOCAL, list(run.args), sorted(run.env.items()))))
            if self.expect(key, Asked(id=run.check, kind=LOCAL, counts=counts), run):
                name = f"test.{number}"
                self.add(name, "command", run.as_json(), after=(), group="local")
                names.append(name)
        self._made += names
        self.local_asked = list(self.asked)
        self._after = tuple(names)
        self.gate("local", self.local_asked, name="local")

    def drift(self, doubts: Doubts) -> None:
        """Add the look at what has drifted, where one is wanted."""
        if self.criteria.drift.enabled:
            for each in doubts(as_words(self._question())):
                self.wrong(f"criteria.drift.{each.key}".rstrip("."), each.what)
            self.add("drift", "drift", {"ask": self._question()})
            self._after = ("drift",)

    def _question(self) -> dict[str, JSONValue]:
        drift, settings = self.criteria.drift, self.settings
        where: dict[str, JSONValue] = {
            "prod_url": settings.prod_url,
            "repo_path": settings.repo_path,
        }
        routes: dict[str, JSONValue] = {} if drift.routes is None else {"routes": drift.routes}
        return {**where, **routes, **drift.ask}

    def gate(self, gate: str, asked: Sequence[Asked], *, name: str = "") -> None:
        """Add a gate, which is told what every step before it found."""
        name = name or f"gate.{gate}"
        criteria, settings = self.criteria, self.settings
        given: dict[str, JSONValue] = {
            "gate": gate,
            "declared": digest(declared(self.task)),
            "checks": [_told(each) for each in asked],
            "required_proofs": criteria.required_proofs,
            "minimum_score": criteria.minimum_score,
            "without_local_tests": criteria.without_local_tests,
            "fail_fast_on_drift": settings.fail_fast_on_drift,
            "ask": self._question() if criteria.drift.enabled else None,
        }
        found: dict[str, JSONValue] = {"made": [_output(step) for step in self._made]}
        ids = [step.id for step in self.steps]
        found |= {step: _output(step) for step in ("drift", "deploy") if step in ids}
        gates = [step for step in ONES if step in ids]
        found["heads"] = [_output(step) for step in gates]
        self.add(name, "gate", given, after=dict.fromkeys((*self._after, *gates[-1:])), found=found)
        self._after = (name,)

    def deploy(self) -> None:
        """Add the deployment, if there is one."""
        asked = self.criteria.deployment
        if asked is None:
            return
        try:
            args = deployment(asked, self.settings.deployments)
        except InvalidError as error:
            self.wrong("criteria.deployment", error.message)
            return
        run = LocalRun(
            check="deploy",
            args=args,
            cwd=self.settings.repo_path,
            timeout=asked.timeout,
            user=self.settings.test_user,
        )
        self.add("deploy", "deploy", {**run.as_json(), "provider": asked.provider})
        self._after = ("deploy",)

    def checks(self, faults: Faults) -> None:
        """Add what is asked of production; checks that hand something on are one step."""
        placed_checks: list[Joined] = []
        for field in ("live_checks", "ui_tests"):
            for number, check in enumerate(getattr(self.criteria, field)):
                if found := self._placed(f"criteria.{field}.{number}", check):
                    short = "check" if field == "live_checks" else "ui"
                    placed_checks.append(Joined(f"{short}.{number + 1}", field, number, found))
        groups, lost = joined(placed_checks)
        for each, name in lost:
            self.wrong(each.key, f"no check before it captures {name}")
        for fault in faults([as_words(each.check) for each in placed_checks]):
            index, _, rest = fault.key.partition(".")
            is_known = index.isdecimal() and int(index) < len(placed_checks)
            key = placed_checks[int(index)].key if is_known else "criteria"
            self.wrong(f"{key}.{rest}".rstrip("."), fault.what)
            check = placed_checks[int(index)].check if is_known else None
            if check and (refused := refusal(check, [rest], self.settings)):
                self.refusals.append(refused)
        for group in groups:
            kind = "live" if all(each.check["kind"] == "live" for each in group) else "ui"
            given: dict[str, JSONValue] = {"checks": [each.check for each in group]}
            self._ask(group[0].step, given, group=kind)

    def _placed(
        self, key: str, check: LiveCheck | UICheck | SpecCheck
    ) -> dict[str, JSONValue] | None:
        """Return a check with a whole address and an id; None for one that is asked already."""
        try:
            whole = placed(check, self.settings.prod_url)
        except InvalidError as error:
            self.wrong(key, "; ".join(filter(None, (error.message, error.hint))))
            return None
        asked = whole.model_dump(mode="json") | {"id": whole.identity}
        content = {**asked, "name": ""}
        if self._known.get(whole.identity) == content:
            return None
        beside = {name: each for name, each in asked.items() if name not in _FILLED[whole.kind]}
        for name in sorted(names_in(beside) - names_in(whole.identity)):
            where = " and ".join(_FILLED[whole.kind]) or "nothing of it"
            self.wrong(key, f"{where} may refer to a secret, as something else does to {name}")
        expected = Asked(
            id=whole.identity,
            kind=KINDS[whole.kind],
            is_required=whole.required,
            weight=whole.weight,
            counts=self._is_first(meaning_of(whole)),
        )
        return asked if self.expect(key, expected, content) else None

    def _is_first(self, meaning: str) -> bool:
        """Tell whether nothing before it asks the same, by whatever name and how patiently."""
        is_first = meaning not in self._counted
        self._counted.add(meaning)
        return is_first

    def _ask(self, name: str, given: Mapping[str, JSONValue], *, group: str) -> None:
        found = {"deploy": _output("deploy")} if self._after == ("deploy",) else {}
        self.add(name, "check", given, group=group, found=found)
        self._made.append(name)

    def cutover(self) -> None:
        """Add the checks that every task gets."""
        nowhere: list[str] = []
        for number, standard in enumerate(self.criteria.standard_checks):
            key, name = f"criteria.standard_checks.{number}", f"{CUTOVER}{standard.name}"
            if not is_name(standard.name):
                self.wrong(f"{key}.name", f"{standard.name!r} is no name")
                continue
            if not self.settings.prod_url and any(map(is_path, standard.paths)):
                nowhere.append(standard.name)
                continue
            try:
                checks = standard_checks(standard, self.settings.prod_url)
            except InvalidError as error:
                self.wrong(key, error.message)
                continue
            asked = Asked(id=name, kind="live", is_required=standard.required, counts=False)
            if self.expect(f"{key}.name", asked, checks):
                self._ask(name, {"checks": checks, "is_one_enough": True}, group="live")
        if nowhere:
            what = f"{', '.join(nowhere)} ask production, and its address is not set; {NAMING}"
            self.wrong("criteria.standard_checks", f"{what}, or have none of them: {_NONE}")

    def production(self) -> None:
        """Add the second gate, after all that was asked, and the seal."""
        asks = [name for name in self._made if not name.startswith("test.")]
        self._after = (*self._after, *asks)
        self.gate("production", self.asked)
        heads: JSONValue = [_output(name) for name in ONES[:3]]
        made: JSONValue = [_output(name) for name in self._made]
        self.add("done", "seal", {}, found={"heads": heads, "made": made})

    def notes(self) -> None:
        """Ask at the beginning what is known, and remember at the end what came of it."""
        task = self.task
        said: dict[str, JSONValue] = {"title": task.title, "description": task.description[:2_000]}
        more: dict[str, Any] = {"on_error": OnError.CONTINUE, "timeout_seconds": _CONTEXT_SECONDS}
        self.add("context", "note", {"mode": "context", **said}, after=(), **more)
        if self.settings.auto_remember:
            ends: dict[str, JSONValue] = {name: f"${{ steps['{name}'].state }}" for name in ONES}
            errors: dict[str, JSONValue] = {
                name: f"${{ steps['{name}'].error }}" for name in ONES[:3]
            }
            found: dict[str, JSONValue] = {"states": ends, "errors": errors}
            given: dict[str, JSONValue] = {"mode": "remember", "title": task.title}
            self.add("remember", "note", given, after=(), found=found, is_final=True, **more)


def standard_checks(standard: StandardCheck, prod_url: str) -> list[JSONValue]:
    """Return the checks of which one is enough, all of the same id.

    Raises:
        InvalidError: the address of production is not known.
    """
    found: list[JSONValue] = []
    for path in standard.paths:
        check = LiveCheck(
            id=f"{CUTOVER}{standard.name}",
            name=standard.name,
            url=path,
            expected_status=standard.expected_status,
            required=standard.required,
        )
        found.append(placed(check, prod_url).model_dump(mode="json"))
    return found


def _output(step: str) -> str:
    return f"${{ steps['{step}'].output }}"


def _told(asked: Asked) -> JSONValue:
    return {
        "id": asked.id,
        "kind": asked.kind,
        "is_required": asked.is_required,
        "weight": asked.weight,
        "counts": asked.counts,
    }
