"""The reference page of validation: tables that are in the code, and a few words around them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from pydantic import BaseModel

from oneiric.ports.gatekeeper import GateCode
from oneiric.validation.checks.grammar import OPERATIONS_OF
from oneiric.validation.checks.spec import (
    Analysis,
    Conformance,
    LiveCheck,
    Retries,
    SpecCheck,
    UICheck,
)
from oneiric.validation.config import OrchestratorConfig
from oneiric.validation.drift.database import DatabaseQuestion
from oneiric.validation.drift.question import (
    AppAsked,
    Checks,
    DriftQuestion,
    OpenAPIAsked,
    RouteAsked,
)
from oneiric.validation.drift.wellbeing import (
    CONTAINERS,
    DEEPEST,
    DOUBTFUL,
    FIELDS,
    MOST_PARTS,
    UNWELL,
)
from oneiric.validation.models import (
    Deployment,
    DriftCriteria,
    LocalTestSpec,
    StandardCheck,
    ValidationCriteria,
)
from oneiric.validation.openapi.rules import EDITION, rule_table
from oneiric.validation.settings import VARIABLES, ValidationSettings
from oneiric.validation.states import MOVES, TaskOutcome, TaskStatus
from tests.architecture.source import House
from tests.docs.markdown import HEADER
from tests.docs.settings import meanings, model_table

STATUSES: Mapping[TaskStatus, str] = {
    TaskStatus.PENDING: "nothing was begun",
    TaskStatus.IN_PROGRESS: "local tests are run",
    TaskStatus.LOCAL_OK: "all local tests passed",
    TaskStatus.LOCAL_FAIL: "a local test failed",
    TaskStatus.VALIDATING: "the first gate is open; production is asked",
    TaskStatus.PROD_OK: "the second gate is open",
    TaskStatus.PROD_FAIL: "the second gate stayed shut",
    TaskStatus.ENV_DRIFT: "what runs has drifted from what was meant",
    TaskStatus.DONE: "production has proved it",
}
CODES: Mapping[GateCode, str] = {
    GateCode.OPEN: "nothing speaks against it",
    GateCode.WRONG_STATUS: "the task does not stand where this gate is",
    GateCode.LEDGER_BROKEN: "the ledger was touched",
    GateCode.NO_LOCAL_TESTS: "there are no local tests, and no reason for it",
    GateCode.LOCAL_TEST_FAILED: "a local test failed",
    GateCode.LOCAL_TEST_INCONCLUSIVE: "a local test could not be done",
    GateCode.DRIFT_FOUND: "something has drifted",
    GateCode.DRIFT_UNCHECKED: "something could not be compared, or nothing was",
    GateCode.DEPLOYMENT_FAILED: "the deployment did not end well",
    GateCode.REQUIRED_CHECK_MISSING: "a required check has no proof",
    GateCode.REQUIRED_CHECK_FAILED: "a required check failed",
    GateCode.CHECK_INCONCLUSIVE: "a required check could not be done",
    GateCode.SCORE_TOO_LOW: "too little of the weight passed",
    GateCode.NOT_ENOUGH_PROOFS: "fewer different checks passed than are required",
    GateCode.NO_LIVE_PROOF: "nothing that runs was asked",
}
ASSERTS: Mapping[str, str] = {
    "status": "`status 2xx`",
    "header": "`header content-type contains json`",
    "json": '`json $.status == "ok"`',
    "schema": '`schema {"type": "object"}`',
    "body": "`body matches ok.*`",
    "size_bytes": "`size < 1MB`",
    "duration_ms": "`duration p95 < 500ms`",
    "certificate_days": "`certificate > 14d`",
    "redirect": "`redirect == https://example.com/`",
}
MODELS: Mapping[str, tuple[tuple[str, type[BaseModel]], ...]] = {
    "task": (
        ("criteria", ValidationCriteria),
        ("criteria.local_tests", LocalTestSpec),
        ("criteria.live_checks", LiveCheck),
        ("retry", Retries),
        ("analysis", Analysis),
        ("conforms_to", Conformance),
        ("criteria.ui_tests: a page", UICheck),
        ("criteria.ui_tests: a file of tests", SpecCheck),
        ("criteria.standard_checks", StandardCheck),
        ("criteria.drift", DriftCriteria),
        ("criteria.deployment", Deployment),
    ),
    "drift": (
        ("routes", RouteAsked),
        ("openapi", OpenAPIAsked),
        ("app", AppAsked),
        ("database", DatabaseQuestion),
        ("checks", Checks),
    ),
}


def validation_page(_house: House) -> str:
    """Return the page."""
    return "\n".join(
        [
            *(HEADER, *_task(), *_asserts(), *_standing(), *_gates(), *_drift()),
            *(*_health(), *_rules(), *_file()),
        ]
    )


def _model(model: type[BaseModel]) -> Iterator[str]:
    yield from model_table(model, "field", meanings(model))


def _task() -> Iterator[str]:
    yield "# Validation\n"
    yield "For whoever writes a task, or wants to know why one is not done. How to go about it is"
    yield "told under [validate a task](../how-to/validate-a-task.md), and why it is as it is under"
    yield "[why a task is done](../explanation/why-a-task-is-done.md).\n"
    yield "## The task\n"
    yield "A task is a YAML, JSON or TOML file with a `title`, its `criteria`, and if need be `id`,"
    yield "which is made of the title otherwise, `description` and `metadata`. Unknown fields are"
    yield "errors. In Python it is `oneiric.validation.Task`, with the same fields. Editors"
    yield "check it by [a JSON Schema](task.schema.json).\n"
    for name, model in MODELS["task"]:
        yield f"### {name}\n"
        yield from _model(model)


def _asserts() -> Iterator[str]:
    yield "## Asserts\n"
    yield "An assert is one line, `SUBJECT [PLACE] [OPERATION VALUE]`, or a table with `subject`,"
    yield "`at`, `op` and `value`. Sizes have the units B, kB, MB, GB, KiB, MiB and GiB, durations"
    yield "ms, s and min, certificates h, d and w. A place is the name of a header, a JSONPath"
    yield "([RFC 9535](https://www.rfc-editor.org/rfc/rfc9535)), or p1 to p100 of all durations.\n"
    yield "| subject | can be asked | for instance |"
    yield "|---|---|---|"
    for subject, operations in OPERATIONS_OF.items():
        words = " ".join(f"`{each}`" for each in sorted(operations))
        yield f"| `{subject}` | {words} | {ASSERTS[subject]} |"
    yield ""


def _standing() -> Iterator[str]:
    yield "## How a task stands\n"
    yield "A status is what the events of the task's run say; a move that is not in the table is"
    yield "refused.\n"
    yield "| status | means | may become |"
    yield "|---|---|---|"
    for status, after in MOVES.items():
        names = ", ".join(f"`{each}`" for each in TaskStatus if each in after)
        yield f"| `{status}` | {STATUSES[status]} | {names} |"
    yield "\nWhat came of a run is its outcome; the command ends with its exit code, and with 3"
    yield "where a task failed because a gate had nothing to judge.\n"
    yield "| outcome | exit code |"
    yield "|---|---|"
    yield from (f"| `{each}` | {each.exit_code} |" for each in TaskOutcome)
    yield ""


def _gates() -> Iterator[str]:
    yield "## Why a gate stays shut\n"
    yield "There are no other reasons. One that is inconclusive leaves the task where it stands.\n"
    yield "| code | why | inconclusive |"
    yield "|---|---|---|"
    for code in GateCode:
        yield f"| `{code}` | {CODES[code]} | {'yes' if code.is_inconclusive else ''} |"
    yield ""


def _drift() -> Iterator[str]:
    yield "## What is compared\n"
    yield "These are the fields of `criteria.drift.ask`, and of what `DriftDetector` is asked;"
    yield "options of `oneiric validation check-drift` set the usual ones.\n"
    yield from _model(DriftQuestion)
    for name, model in MODELS["drift"]:
        yield f"### {name}\n"
        yield from _model(model)


def _health() -> Iterator[str]:
    yield "## What production says of its health\n"
    yield "Health fails where an answer of 2xx says one of the words of the first row, and is"
    yield "degraded where it says one of the second, in capitals or not. The word stands in one"
    yield f"of the fields {_listed(FIELDS)}; of the whole at the top, and of its parts beneath"
    yield f"{_listed(sorted(CONTAINERS))} alone, as tables, lists, words or keys such as"
    yield f"`checks.db`, up to {DEEPEST} deep and {MOST_PARTS:,} in all.\n"
    yield "| told | words |"
    yield "|---|---|"
    yield f"| `health-failing` | {_listed(sorted(UNWELL))} |"
    yield f"| `health-degraded` | {_listed(sorted(DOUBTFUL))} |"
    yield "\nOf parts, `unknown` is no doubt, and `false` alone counts beneath `checks`; what a"
    yield "part tells in its own `details` counts where it is a table that says how it is.\n"


def _listed(words: Iterable[str]) -> str:
    return ", ".join(f"`{each}`" for each in words)


def _rules() -> Iterator[str]:
    yield "## Differences of OpenAPI documents\n"
    yield f"Edition {EDITION} of the rules. `overrides` judges one anew; a line"
    yield "`RULE PLACE [until DATE]` in `.oneiric-drift-ignore` accepts one, `*` standing for"
    yield "anything.\n"
    yield "Webhooks and callbacks are compared by the same rules: there the service is the one who"
    yield "asks, so that what it sends is told as `response`, and what it is answered as `request`;"
    yield "the place begins with `webhook`, or with the operation and its callback. A"
    yield "`$dynamicRef` is followed where one schema alone has its anchor; others are told as not"
    yield "compared, and so are callbacks of callbacks, unless both documents say the same.\n"
    yield "| rule | severity | about | what is different |"
    yield "|---|---|---|---|"
    for rule in rule_table():
        yield f"| `{rule.id}` | {rule.severity} | {rule.direction} | {rule.meaning} |"
    yield ""


def _file() -> Iterator[str]:
    yield "## .snipara-orchestrator.json\n"
    yield "It is looked for in the working directory and in the folders above; `.agentic.json` is"
    yield "read too. The section [`[validation]`](#the-section-validation) outranks it, and so"
    yield "do variables.\n"
    yield from _model(OrchestratorConfig)
    yield "| variable | sets |"
    yield "|---|---|"
    yield from (f"| `{name}` | `{key}` |" for name, key in VARIABLES.items())
    yield ""
    yield "## The section validation\n"
    yield "What `[validation]` of [the configuration](configuration.md) may say; each is also"
    yield "set by a variable such as `ONEIRIC_VALIDATION__PROD_URL`.\n"
    yield from _model(ValidationSettings)
