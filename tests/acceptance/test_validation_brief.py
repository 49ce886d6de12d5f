"""The brief of prod-first validation, word for word: its commands and its Python."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.acceptance.commands import Finished, run
from tests.acceptance.production import (
    Production,
    oneiric_validate,
    programs,
    serving,
    validation,
)

API = "https://api.example.com"
INIT = "init --project my-project --prod-url https://api.example.com"
RUN = r"""run "Deploy Auth Feature" \
  --test "pnpm test" \
  --test "pnpm lint" \
  --endpoint "https://api.example.com/health" \
  --endpoint "https://api.example.com/api/auth/session" \
  --required-proofs 3"""
CHECK_DRIFT = "check-drift --route /api/users --route /api/auth"
VALIDATE = "validate https://api.example.com/health"
RECALL = 'recall "deployment failures" --limit 5'
REMEMBER = 'remember "Chose Redis for rate limiting" --type decision'
FEATURE = r"""htask-create-feature "Auth Overhaul" \
  --swarm-id swarm_abc123 \
  --description "Move auth to OAuth and JWT" \
  --owner codex \
  --workstream API \
  --workstream QA"""
LEAF = r"""htask-create "Add refresh endpoint" \
  --swarm-id swarm_abc123 \
  --parent-id htask_ws_api \
  --description "Implement token rotation" \
  --owner codex \
  --evidence-required '{"type":"test","description":"targeted tests passed"}'"""
NEXT = "htask-next --swarm-id swarm_abc123 --limit 5"
TREE = "htask-tree --swarm-id swarm_abc123 --task-id htask_feature"
COMPLETE = r"""htask-complete htask_task_001 \
  --swarm-id swarm_abc123 \
  --evidence "test:pytest packages/agentic-orchestrator" \
  --result "Implemented and verified htask wrapper" """
PROGRAM = """
import asyncio
from oneiric.validation import Orchestrator, Task, ValidationCriteria
from oneiric.validation.models import LiveCheck, OrchestratorConfig

async def main():
    # Configuration
    config = OrchestratorConfig(
        snipara_api_key="snp-your-api-key",
        snipara_project="my-project",
        prod_url="https://api.example.com",
        repo_path="/path/to/repo",
        test_user="test@example.com",
    )

    # Create orchestrator
    orchestrator = Orchestrator(config)
    await orchestrator.initialize()

    # Define task with validation criteria
    task = Task(
        id="deploy-auth",
        title="Deploy Authentication Feature",
        description="Deploy OAuth2 authentication to production",
        criteria=ValidationCriteria(
            local_tests=["pnpm test", "pnpm lint"],
            live_checks=[
                LiveCheck(url="https://api.example.com/health"),
                LiveCheck(
                    url="https://api.example.com/api/auth/login",
                    method="POST",
                    expected_status=200,
                    body={"email": "test@test.com", "password": "test"},
                ),
            ],
            required_proofs=3,
        ),
    )

    # Execute the task
    result = await orchestrator.execute_task(task)

    print(f"Status: {result.status.value}")
    print(f"Proofs: {len(result.passing_proofs())}/{len(result.proofs)}")

asyncio.run(main())
"""
SNIPARA = """
# Get relevant documentation
context = await orchestrator.snipara.query_context(
    query="deployment checklist production",
    max_tokens=6000,
)
# Remember decisions
await orchestrator.snipara.remember(
    content="Chose Redis for rate limiting due to distributed nature",
    type="decision",
    category="architecture",
    ttl_days=30,
)

# Recall previous context
memories = await orchestrator.snipara.recall(
    query="deployment failures",
    limit=5,
)
# Create a swarm
swarm = await orchestrator.snipara.create_swarm(
    name="deployment-coordination",
    description="Multi-agent deployment workflow",
)

# Store shared state
await orchestrator.snipara.set_state(
    swarm_id=swarm["swarm_id"],
    agent_id="coordinator",
    key="deployment_status",
    value={"phase": "validating", "progress": 75},
)
feature = await orchestrator.snipara.create_htask_feature(
    swarm_id=swarm["swarm_id"],
    title="Auth Overhaul",
    description="Move auth to OAuth and JWT",
    owner="codex",
    workstreams=["API", "QA"],
)

task = await orchestrator.snipara.create_htask(
    swarm_id=swarm["swarm_id"],
    parent_id=feature["workstream_ids"]["API"],
    title="Add refresh endpoint",
    description="Implement token rotation",
    owner="codex",
    evidence_required=[
        {"type": "test", "description": "targeted tests passed"},
    ],
)

ready = await orchestrator.snipara.recommend_htask_batch(
    swarm_id=swarm["swarm_id"],
    limit=5,
    owner="codex",
)

tree = await orchestrator.snipara.get_htask_tree(
    swarm_id=swarm["swarm_id"],
    task_id=feature["feature_id"],
)

await orchestrator.snipara.complete_htask(
    swarm_id=swarm["swarm_id"],
    task_id=task["task_id"],
    evidence=[
        {"type": "test", "description": "pytest package suite passed"},
    ],
    result={"files_modified": ["src/auth.py"]},
)
"""
GATES = """
from oneiric.validation.gates import Gatekeeper

gatekeeper = Gatekeeper(
    snipara=snipara_client,
    validator=validator,
    drift_detector=drift_detector,
    fail_fast_on_drift=True,
)

# Gate 1: LOCAL_OK → VALIDATING
result = await gatekeeper.gate_local_to_validation(task)

# Gate 2: VALIDATING → PROD_OK
result = await gatekeeper.gate_validation_to_prod(task)
"""
DETECTOR = """
from oneiric.validation.drift_detector import DriftDetector

detector = DriftDetector(
    prod_url="https://api.example.com",
    repo_path="/path/to/repo",
)

report = await detector.full_drift_check(
    routes=["/api/users", "/api/auth"],
    check_schema=True,
    check_health=True,
)

if report.has_drift:
    print(f"Issues: {report.issues}")
    print(f"Recommendations: {report.recommendations}")
"""
VALIDATOR = """
from oneiric.validation.validator import Validator
from oneiric.validation.models import LiveCheck

validator = Validator(test_user="test@example.com")

proof = await validator.run_live_check(
    LiveCheck(
        url="https://api.example.com/health",
        expected_status=200,
    )
)

print(f"Result: {proof.result}")
print(f"Status: {proof.response_code}")
"""
EXECUTOR = """
from oneiric.validation.executor import Executor

executor = Executor(working_dir="/path/to/repo")

result = await executor.run_command("pnpm test")
print(f"Success: {result.success}")
print(f"Output: {result.stdout}")
"""
CONFIG = """{
  "snipara_api_key": "snp-your-api-key",
  "snipara_project": "my-project",
  "prod_url": "https://api.example.com",
  "repo_path": "/path/to/repo",
  "test_user": "test@example.com",
  "fail_fast_on_drift": true,
  "auto_remember": true,
  "verbose": true
}
"""

Command = Callable[..., Finished]


@pytest.fixture
def production() -> Iterator[Production]:
    """Production, which is well."""
    with serving() as found:
        yield found


class Place:
    """A repository in a folder, with the programs of its users."""

    def __init__(self, folder: Path, production: Production) -> None:
        self.folder = folder / "repo"
        self.folder.mkdir()
        self.production = production
        self.variables = programs(folder / "bin")

    def here(self, text: str) -> str:
        """Return what the brief says, about this place and this production."""
        text = text.replace("\\\n", "")
        return text.replace(API, self.production.url).replace("/path/to/repo", str(self.folder))

    def say(self, command: Command, line: str, **more: str) -> Finished:
        """Run a command of the brief."""
        words = shlex.split(self.here(line))
        return command(*words, folder=self.folder, variables={**self.variables, **more})

    def program(self, text: str, **more: str) -> Finished:
        """Run a program of the brief, with a top level that may await."""
        body = self.here(text)
        if "asyncio.run" not in body:
            lines = "\n".join(f"    {line}" for line in body.splitlines())
            body = f"import asyncio\n\nasync def main():\n{lines}\n\nasyncio.run(main())\n"
        (self.folder / "program.py").write_text(body)
        variables = {**self.variables, **more}
        return run("program.py", folder=self.folder, variables=variables)


@pytest.fixture
def place(tmp_path: Path, production: Production) -> Place:
    """The repository."""
    return Place(tmp_path, production)


@pytest.fixture(params=[oneiric_validate, validation], ids=["oneiric-validate", "validation"])
def command(request: pytest.FixtureRequest) -> Command:
    """The command line, as spelt either way."""
    found: Command = request.param
    return found


def test_the_commands_of_the_brief_do_what_they_say(place: Place, command: Command) -> None:
    """Quick start: make the file, run a task, look for drift, check one address, remember."""
    made, done, drift, checked, stored, recalled = (
        place.say(command, line) for line in (INIT, RUN, CHECK_DRIFT, VALIDATE, REMEMBER, RECALL)
    )

    assert (made.code, (place.folder / ".snipara-orchestrator.json").stat().st_mode & 0o777) == (
        0,
        0o600,
    )
    assert (done.code, done.out.splitlines()[0]) == (
        0,
        "Deploy Auth Feature: DONE, 4 of 4 proofs (3 required), 2 of 2 standard checks",
    ), done.err
    assert (drift.code, drift.out.splitlines()[0]) == (
        0,
        "No drift detected (compared: 2 route, 1 health)",
    )
    assert (checked.code, checked.out.splitlines()[0]) == (
        0,
        f"pass  GET {place.production.url}/health",
    )
    assert (stored.code, stored.out.startswith("stored memory mem_")) == (0, True)
    assert (recalled.code, "Deploy Auth Feature" in recalled.out) == (0, True)
    assert {done.err, drift.err, checked.err, stored.err, recalled.err} == {""}


def test_the_commands_about_hierarchical_tasks(place: Place, command: Command) -> None:
    """A feature, a leaf below a workstream, what is next, the tree, and the end with evidence."""
    ids = {"swarm_abc123": "", "htask_ws_api": "", "htask_task_001": "", "htask_feature": ""}

    def said(line: str) -> dict[str, object]:
        for name, known in ids.items():
            line = line.replace(name, known)
        done = place.say(command, f"{line} --json")
        assert done.code == 0, done.err
        result: dict[str, object] = done.document["result"]
        return result

    place.say(command, INIT)
    ids["swarm_abc123"] = str(said('swarm-create "deployment"')["swarm_id"])
    feature = said(FEATURE)
    streams = feature["workstream_ids"]
    assert isinstance(streams, dict)
    ids |= {"htask_feature": str(feature["feature_id"]), "htask_ws_api": streams["API"]}
    ids["htask_task_001"] = str(said(LEAF)["task_id"])
    ready, tree = json.dumps(said(NEXT)), json.dumps(said(TREE))
    done = said(COMPLETE)

    assert ids["htask_task_001"] in ready
    assert all(ids[name] in tree for name in ("htask_feature", "htask_ws_api", "htask_task_001"))
    assert done["success"] is True


def test_the_program_of_the_brief_runs_though_snipara_is_far_away(place: Place) -> None:
    """Python API: the key has the hosted knowledge asked; nobody answers; the task is done."""
    done = place.program(PROGRAM, SNIPARA_API_URL="http://127.0.0.1:1")

    assert (done.code, done.out) == (0, "Status: done\nProofs: 6/6\n"), done.err
    assert {line.split()[0] for line in done.err.splitlines()} == {"activation-failed"}, done.err
    assert ("POST", "/api/auth/login") in place.production.heard


def test_the_key_in_the_file_has_the_hosted_knowledge_asked(place: Place, command: Command) -> None:
    """Configuration: that nobody can be asked is told, the key is not, and the task is done."""
    file = place.folder / ".snipara-orchestrator.json"
    file.write_text(place.here(CONFIG))
    below = place.folder / "src" / "deep"
    below.mkdir(parents=True)
    words = shlex.split(place.here(RUN))
    far = {**place.variables, "SNIPARA_API_URL": "http://127.0.0.1:1"}

    done = command(*words, folder=below, variables=far)
    status = command("status", "--json", folder=below, variables=far)

    assert (done.code, done.out.splitlines()[0]) == (
        0,
        "Deploy Auth Feature: DONE, 4 of 4 proofs (3 required), 2 of 2 standard checks",
    )
    assert re.search(r"^warning: .*knowledge", done.err, re.MULTILINE), done.err
    assert status.document["serving"]["adapter:knowledge"] == "adapter:knowledge@snipara"
    assert status.document["repo_path"] == str(place.folder)
    for told in (done.err, status.err):
        assert re.search("^key-readable-by-others path=", told, re.MULTILINE), told
        assert "{'" not in told
    for finished in (done, status):
        assert "snp-your-api-key" not in finished.out + finished.err
    assert not (below / ".oneiric_cache").exists()


def test_the_variables_of_the_brief_are_enough(place: Place, command: Command) -> None:
    """Configuration: the four variables stand for a file, and outrank one."""
    exported = {
        "SNIPARA_API_KEY": "snp-your-api-key",
        "SNIPARA_PROJECT": "my-project",
        "PROD_URL": place.production.url,
        "REPO_PATH": str(place.folder),
    }

    status = place.say(command, "status --json", **exported)
    checked = place.say(command, CHECK_DRIFT, **exported)

    found = status.document
    assert (found["prod_url"], found["repo_path"], found["project"]) == (
        place.production.url,
        str(place.folder),
        "my-project",
    )
    assert checked.code == 0, checked.out
    assert "snp-your-api-key" not in status.out + status.err


def test_the_examples_of_snipara_run_with_what_is_embedded(place: Place) -> None:
    """Snipara integration: context, memories, a swarm, shared state, hierarchical tasks."""
    (place.folder / "README.md").write_text("# Deployment\n\nThe production checklist: look.\n")
    program = (
        "from oneiric.validation import create_orchestrator\n"
        f"orchestrator = await create_orchestrator(prod_url={API!r}, repo_path='/path/to/repo')\n"
        f"{SNIPARA}"
        "print(len(context['sections']), len(memories['memories']), sorted(tree)[:1] != [])\n"
        "print(task['task_id'] in str(ready), task['task_id'] in str(tree))\n"
        "await orchestrator.close()\n"
    )

    done = place.program(program)

    assert (done.code, done.out) == (0, "1 0 True\nTrue True\n"), done.err


def test_the_examples_of_the_parts_run(place: Place) -> None:
    """Components: validator, detector, executor, and the two gates with these."""
    task = (
        "from oneiric.validation import Task, ValidationCriteria\n"
        "snipara_client, drift_detector = None, detector\n"
        "criteria = ValidationCriteria(live_checks=[LiveCheck(url='https://api.example.com/health')"
        "], local_tests=['pnpm test'], required_proofs=1, drift={'routes': ['/api/users']})\n"
        "from oneiric.validation.states import TaskStatus\n"
        "task = Task(id='a', title='A', criteria=criteria, status=TaskStatus.LOCAL_OK)\n"
    )
    gates = GATES + "print(bool(result))\n"

    found = place.program(VALIDATOR + DETECTOR + EXECUTOR)
    gated = place.program(VALIDATOR + DETECTOR + task + gates)

    assert found.code == 0, found.err
    assert found.out.splitlines()[:3] == ["Result: pass", "Status: 200", "Success: True"]
    assert found.out.splitlines()[3].endswith("/pnpm test")
    assert (gated.code, gated.out.splitlines()[-1]) == (0, "True"), gated.err


def test_drift_is_told_with_what_to_do_about_it(place: Place) -> None:
    """Drift detector: a route that is gone in production is an issue with a recommendation."""
    del place.production.answers["GET", "/api/users"]

    done = place.program(DETECTOR)

    assert done.code == 0, done.err
    issues, recommendations = done.out.splitlines()
    assert issues.startswith("Issues: [")
    assert "/api/users" in issues
    assert recommendations.startswith("Recommendations: ['deploy")
