"""What a person can ask of validation: one method a verb."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator, Mapping
from contextlib import asynccontextmanager, suppress
from functools import cached_property, partial
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, TypeVar, cast

from oneiric.documents import canonical, parse
from oneiric.documents.model import validate_settings
from oneiric.errors import (
    ComponentError,
    ConfigError,
    IllegalMoveError,
    InvalidError,
    JSONValue,
    NotFoundError,
)
from oneiric.files import read_bounded, write_atomic
from oneiric.ports.drift import DRIFT
from oneiric.ports.errors import UnavailableError
from oneiric.ports.secrets import SECRETS
from oneiric.ports.validator import VALIDATOR
from oneiric.reports.forms import report_text
from oneiric.reports.report import RunReport
from oneiric.to_end import run_to_end
from oneiric.validation.answers import (
    CheckAnswer,
    DriftAnswer,
    KnowledgeAnswer,
    LedgersAnswer,
    ProofsAnswer,
    TaskAnswer,
    Told,
    Verification,
    Written,
    told_baseline,
    told_status,
)
from oneiric.validation.compiling import PREFIX
from oneiric.validation.config import NAMES, OrchestratorConfig
from oneiric.validation.counting import explained
from oneiric.validation.evidence import missing_evidence
from oneiric.validation.ledger import Entry, Head, Ledger, LedgerError
from oneiric.validation.models import LiveCheck, Proof, Task
from oneiric.validation.orchestrator import Orchestrator
from oneiric.validation.parts import evidence_of, known_of, problems_of, report_of
from oneiric.validation.plugin import LEDGER
from oneiric.validation.projection import Projection
from oneiric.validation.recording import unborne, unsealed
from oneiric.validation.refusing import refusal
from oneiric.validation.secrets import as_captured, as_words, names_in, read_secrets
from oneiric.validation.targets import placed

if TYPE_CHECKING:
    from oneiric.domains.following import Tell
    from oneiric.errors import Problem
    from oneiric.runs import proof as kernel
    from oneiric.runs.event import RunEvent
    from oneiric.runs.journal import Journal
    from oneiric.validation.providers.drift import ComparingDetector

T = TypeVar("T")

_MOST_BYTES = 4 << 20
_NOTHING: Mapping[str, JSONValue] = MappingProxyType({})
_RUNS = 100
_SHOWN = 10
_NO_WORD = re.compile(r"[^a-z0-9]+")
_KINDS: Mapping[str, str] = {".json": "json", ".yaml": "yaml", ".yml": "yaml", ".toml": "toml"}


class ValidationDesk:
    """Answer for commands about validation, in this process.

    Raises (each verb): ConfigError where the configuration, or the file of this folder, is wrong.

    Args:
        path: the configuration file, if one was named.
        profile: the profile laid over it.
    """

    def __init__(self, path: Path | None = None, profile: str | None = None) -> None:
        self._path = path
        self._profile = profile

    @cached_property
    def config(self) -> OrchestratorConfig:
        """What is validated here, as the working directory says it."""
        return OrchestratorConfig.load(Path.cwd(), path=self._path, profile=self._profile)

    def run(self, task: Task, *, tell: Tell | None = None) -> TaskAnswer:
        """Try a task, and return what came of it; *tell* is told each event as it is stored.

        Raises:
            TaskError: everything that is wrong with it; nothing was begun.
            TaskBusyError: another run of it is under way.
        """

        async def ran(orchestrator: Orchestrator) -> TaskAnswer:
            done = await orchestrator.execute_task(task, tell=tell)
            return TaskAnswer(done, await _report(orchestrator, done.run_id))

        return run_to_end(self._on(ran))

    def resume(
        self,
        run_id: str,
        *,
        of: Task | None = None,
        tell: Tell | None = None,
        notice: Callable[[str], object] = str,
    ) -> TaskAnswer:
        """Go on with a run that was left open, and return what came of it.

        *notice* is told while another's claim is waited for.

        Raises:
            TaskChangedError: it was begun with something else than *of*, or than the
                configuration says now.
        """

        async def ran(orchestrator: Orchestrator) -> TaskAnswer:
            done = await orchestrator.resume(run_id, of=of, tell=tell, notice=notice)
            return TaskAnswer(done, await _report(orchestrator, done.run_id))

        return run_to_end(self._on(ran))

    def task(self, path: Path | None, asked: Mapping[str, Any]) -> Task:
        """Return the task in a file, or the one that options describe; these lie over the file.

        Raises:
            ConfigError: everything that is wrong with it, each with its place.
            InvalidError: neither a file nor a title was given.
        """
        told: dict[str, Any] = {}
        if path is not None:
            kind: Any = _KINDS.get(path.suffix.lower(), "yaml")
            read = parse(read_bounded(path, limit=_MOST_BYTES), kind, source=str(path))
            if not isinstance(read, dict):
                raise InvalidError(f"{path} is no table with a title and criteria")
            told = cast("dict[str, Any]", read)
        title = asked["title"] or told.get("title", "")
        if not title:
            raise InvalidError("name the task", hint='oneiric validation run "Deploy Auth"')
        criteria = dict(told.get("criteria") or {})
        for name, ours in _CRITERIA.items():
            if asked[name]:
                criteria[ours] = asked[name]
        if asked["endpoints"]:
            criteria["live_checks"] = [
                *criteria.get("live_checks", []),
                *({"url": url} for url in asked["endpoints"]),
            ]
        if not asked["drift"]:
            criteria["drift"] = {**criteria.get("drift", {}), "enabled": False}
        names = {"title": title, "criteria": criteria}
        names["id"] = asked["id"] or told.get("id") or slug(title)
        if asked["description"]:
            names["description"] = asked["description"]
        where = str(path or "the options")
        return validate_settings(Task, {**told, **names}, key="task", origin_of=lambda _: where)

    def write_report(self, answer: TaskAnswer, form: str, path: Path) -> None:
        """Write a report of a run: `html`, `markdown`, `junit` or `json`."""
        report = explained(answer.report, answer.task, answer.counts)
        write_atomic(path, report_text(report, form).encode())

    def drift(self, asked: Mapping[str, JSONValue]) -> DriftAnswer:
        """Compare what runs with what was meant.

        Raises:
            InvalidRequestError: what was asked is wrong; nothing was compared.
        """

        async def looked(orchestrator: Orchestrator) -> DriftAnswer:
            async with orchestrator.host.lifecycle.use(DRIFT) as detector:
                return DriftAnswer(await report_of(detector, self._question(orchestrator, asked)))

        return run_to_end(self._on(looked))

    def _question(
        self, orchestrator: Orchestrator, asked: Mapping[str, JSONValue]
    ) -> dict[str, JSONValue]:
        """Return what the detector is asked, from options as commands have them."""
        settings = orchestrator.settings
        told = dict(asked)
        checks = {name: told.pop(name) for name in _CHECKS if name in told}
        contract = {"file": told.pop("openapi", ""), "url": told.pop("served", "")}
        if shown := told.pop("shown", None):
            told["config"] = shown
        found: dict[str, JSONValue] = {
            "prod_url": settings.prod_url,
            "repo_path": settings.repo_path,
            "allow_hosts": settings.allow_hosts,
            **told,
        }
        if checks:
            found["checks"] = checks
        if any(contract.values()):
            found["openapi"] = {name: value for name, value in contract.items() if value}
        return found

    def record(self, name: str, asked: Mapping[str, JSONValue] = _NOTHING) -> Told:
        """Record what production is like now, as the baseline of that name.

        *asked* are the options of `drift` that say what belongs to it.
        """
        return run_to_end(self._on(partial(self._baseline, name, "record", asked)))

    def accept(self, name: str, asked: Mapping[str, JSONValue] = _NOTHING) -> Told:
        """Note every difference from a baseline as one that is as it should be.

        Raises:
            NotFoundError: none of that name was recorded.
        """
        return run_to_end(self._on(partial(self._baseline, name, "accept", asked)))

    def baseline(self, name: str) -> Told:
        """Return what was recorded.

        Raises:
            NotFoundError: none of that name was.
        """
        return run_to_end(self._on(partial(self._baseline, name, "show", _NOTHING)))

    async def _baseline(
        self, name: str, verb: str, asked: Mapping[str, JSONValue], orchestrator: Orchestrator
    ) -> Told:
        async with orchestrator.host.lifecycle.use(DRIFT, needs=["baseline"]) as detector:
            keeper = cast("ComparingDetector", detector)
            if verb == "show":
                found = await keeper.show(name)
            else:
                question = self._question(orchestrator, {**asked, "baseline": name})
                found = await (keeper.record if verb == "record" else keeper.accept)(question)
        return told_baseline(found)

    def check(self, asked: Mapping[str, Any], *, user: str = "") -> CheckAnswer:
        """Do one check, and return its proof; nothing is stored.

        Raises:
            InvalidError: the check itself is wrong; nothing was sent.
            RefusedError: its host or method may not be asked.
        """
        fields = {name: asked[name] for name in ("url", "method", "headers", "asserts", "timeout")}
        statuses = asked["expected_status"]
        fields["expected_status"] = statuses if len(statuses) > 1 else statuses[0]
        if asked["body"]:
            fields["body"] = parse(asked["body"].encode(), "json", source="--body")
        if asked["retries"]:
            fields["retry"] = {"attempts": asked["retries"] + 1}
        if asked["samples"] > 1:
            many = {"count": asked["samples"], "interval_seconds": 0}
            fields["analysis"] = {**many, "error_limit": 0}  # one without an answer is too many
        check = validate_settings(LiveCheck, fields, key="check", origin_of=lambda _: "the options")

        async def checked(orchestrator: Orchestrator) -> CheckAnswer:
            whole = placed(check, orchestrator.settings.prod_url)
            told = whole.model_dump(mode="json") | {"id": whole.identity}
            lifecycle = orchestrator.host.lifecycle
            secrets = await read_secrets(lifecycle.link(SECRETS), names_in(told))
            if secrets.problem:
                raise InvalidError(secrets.problem)
            async with lifecycle.use(VALIDATOR) as validator:
                if problems := problems_of(validator, [as_words(told)]):
                    fields = [each.key.partition(".")[2] for each in problems]
                    refused = refusal(told, fields, orchestrator.settings)
                    raise refused or ConfigError("the check is wrong", problems=problems)
                evidence = await evidence_of(validator, as_captured(told), secrets.captured)
            return CheckAnswer(Proof.of(evidence.proof))

        return run_to_end(self._on(checked, test_user=user, also=check.url))

    def knowledge(self, verb: str, asked: Mapping[str, JSONValue]) -> KnowledgeAnswer:
        """Ask whoever knows: one of the methods of the port, with its arguments.

        Raises:
            AdapterError: they refuse, or cannot be asked.
        """

        async def known(orchestrator: Orchestrator) -> KnowledgeAnswer:
            try:
                return KnowledgeAnswer(verb, await known_of(orchestrator.snipara, verb, asked))
            except ComponentError as error:
                raise UnavailableError("knowledge", error.message) from error

        return run_to_end(self._on(known))

    def ledgers(self) -> LedgersAnswer:
        """Return the ledgers of this repository."""

        async def found(orchestrator: Orchestrator) -> LedgersAnswer:
            async with _ledger(orchestrator) as book:
                heads = {task: book.head(task) for task in book.tasks()}
            return LedgersAnswer(heads)

        return run_to_end(self._on(found))

    def proofs(self, task: str, run: str = "") -> ProofsAnswer:
        """Return the proofs in the ledger of a task, those of one run alone if it is named.

        Raises:
            NotFoundError: there is no ledger of that task.
        """

        async def found(orchestrator: Orchestrator) -> ProofsAnswer:
            async with _ledger(orchestrator) as book:
                if task not in book.tasks():
                    raise NotFoundError("ledger", task, known=book.tasks())
                entries = await asyncio.to_thread(book.entries, task)
            kept = [(each.seq, each.run, each.proof) for each in entries if run in ("", each.run)]
            return ProofsAnswer(task, kept)

        return run_to_end(self._on(found))

    def verify(self, task: str, head: str = "") -> Verification:
        """Verify the ledger of a task against its own end, and against what journals say of it.

        They keep ends too, and which runs production has proved. The files that proofs name have
        to be there as they were.

        Args:
            task: the id of the task.
            head: one more end, as `ENTRIES:DIGEST`.

        Raises:
            NotFoundError: there is no ledger of that task.
            InvalidError: *head* is none.
        """
        given = [_head(head)] if head else []

        async def verified(orchestrator: Orchestrator) -> Verification:
            heads, proved = list(given), list[Projection]()
            async for found in _runs_of(task, orchestrator.host.journal):
                heads += [Head(int(each["entries"]), str(each["digest"])) for each in found.heads]
                proved += [found] if found.opened is not None else []
            async with _ledger(orchestrator) as book:
                work = partial(book.verified, task, heads=heads)
                entries, problems = await asyncio.to_thread(work)
                problems += _unborne(proved, entries)
                folder = orchestrator.config.repo_path
                problems += await asyncio.to_thread(missing_evidence, entries, folder)
                for each in proved:
                    problems += await asyncio.to_thread(unsealed, book, each)
                return Verification(task, book.head(task), len(heads), problems)

        return run_to_end(self._on(verified))

    def init(self, folder: Path, *, prod_url: str, project: str, force: bool) -> Written:
        """Write the file that names production and the project, readable for its owner alone.

        Raises:
            InvalidError: there is one already, or the address is none.
        """
        path = folder / NAMES[0]
        if path.exists() and not force:
            raise InvalidError(f"{path} is there already", hint="--force replaces it")
        told: dict[str, JSONValue] = {
            "snipara_project": project,
            "prod_url": prod_url,
            "repo_path": ".",
            "test_user": "test@example.com",
            "fail_fast_on_drift": True,
            "auto_remember": True,
            "verbose": True,
        }
        checked = {**told, "repo_path": str(folder)}
        validate_settings(
            OrchestratorConfig, checked, key="orchestrator", origin_of=lambda _: "the options"
        )
        write_atomic(path, canonical(told) + b"\n", mode=0o600)
        return Written(path)

    def status(self) -> Told:
        """Return what is validated here, who does it, and how the latest tasks stand."""

        async def stood(orchestrator: Orchestrator) -> Told:
            resolver, settings = orchestrator.host.lifecycle.resolver, orchestrator.settings
            serving = {}
            for ref in _PARTS:
                winner = resolver.explain(ref).winner
                serving[ref] = str(winner.offer) if winner else ""
            tasks: list[JSONValue] = []
            for record in await orchestrator.host.journal.runs(limit=_RUNS):
                if not record.name.startswith(PREFIX) or len(tasks) >= _SHOWN:
                    continue
                found = _projected(await orchestrator.host.journal.read(record.run_id))
                name, status = record.name.removeprefix(PREFIX), str(found.status)
                if found.opened is not None:
                    try:
                        await orchestrator.proofs(name, record.run_id, found)
                    except LedgerError as error:
                        status = error.code
                tasks.append({"id": name, "status": status, "run": record.run_id})
            document: dict[str, JSONValue] = {
                "prod_url": settings.prod_url,
                "repo_path": settings.repo_path,
                "project": orchestrator.config.snipara_project,
                "serving": cast("dict[str, JSONValue]", serving),
                "tasks": tasks,
            }
            return told_status(document, orchestrator.config.warnings)

        return run_to_end(self._on(stood))

    async def _on(
        self,
        work: Callable[[Orchestrator], Awaitable[T]],
        *,
        test_user: str = "",
        also: str = "",
    ) -> T:
        """Do *work* on an orchestrator that is up; *also* is an address that was asked for."""
        config = self.config
        if test_user:
            config = config.model_copy(update={"test_user": test_user})
        if "://" in also:  # whoever names an address allows its host
            config = config.model_copy(update={"prod_url": ""})
        async with Orchestrator(config, path=self._path, profile=self._profile) as orchestrator:
            return await work(orchestrator)


_PARTS = (
    "adapter:validator",
    "adapter:drift",
    "adapter:gatekeeper",
    "adapter:executor",
    "adapter:knowledge",
)
_CRITERIA: Mapping[str, str] = {
    "tests": "local_tests",
    "ui": "ui_tests",
    "required_proofs": "required_proofs",
    "without_tests": "without_local_tests",
}
_CHECKS = ("schema", "health", "version", "config")


def slug(title: str) -> str:
    """Return the id that is made of a title.

    >>> slug("Deploy Auth Feature!")
    'deploy-auth-feature'
    """
    return _NO_WORD.sub("-", title.lower()).strip("-")[:100] or "task"


def _head(text: str) -> Head:
    entries, found, digest = text.partition(":")
    if not found or not entries.isdecimal():
        raise InvalidError(f"{text} is no end of a ledger", hint="write it as ENTRIES:DIGEST")
    return Head(int(entries), digest)


async def _report(orchestrator: Orchestrator, run_id: str) -> RunReport:
    return RunReport.of(await orchestrator.host.journal.read(run_id))


async def _runs_of(task: str, journal: Journal) -> AsyncIterator[Projection]:
    """Yield how a task stands after each of its runs, the newest first."""
    before = ""
    while records := await journal.runs(name=f"{PREFIX}{task}", before=before, limit=_RUNS):
        for record in records:
            before = record.run_id
            yield _projected(await journal.read(before))


def _unborne(proved: Iterable[Projection], entries: Iterable[Entry]) -> Iterator[Problem]:
    """Yield what journals say of runs that production proved, and a ledger does not bear out."""
    by_run: dict[str, list[kernel.Proof]] = {}
    for entry in entries:
        by_run.setdefault(entry.run, []).append(entry.proof)
    for found in proved:
        known = by_run.get(found.run_id, ())
        yield from unborne(found.run_id, found.digests, known, opened=found.opened)


def _projected(events: Iterable[RunEvent]) -> Projection:
    """Return how a task stands after its events, as far as they are those of a task."""
    found = Projection()
    with suppress(IllegalMoveError):  # somebody wrote into the journal; the others are as they are
        for event in events:
            found.apply(event)
    return found


@asynccontextmanager
async def _ledger(orchestrator: Orchestrator) -> AsyncIterator[Ledger]:
    async with orchestrator.host.lifecycle.use(LEDGER) as book:
        yield cast("Ledger", book)
