"""Every knowledge keeps what the port `Knowledge` promises."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from oneiric.ports import (
    AdapterError,
    ConflictError,
    InvalidRequestError,
    Knowledge,
    NotFoundError,
)
from tests.contract.cases import Find, ProviderCase, Surroundings, for_each

pytestmark = for_each("knowledge")


@pytest.fixture
async def knowledge(case: ProviderCase, here: Surroundings, component: Find) -> Any:
    """The knowledge of the case, which has a few documents to search."""
    docs = here.folder / "docs"
    docs.mkdir()
    (here.folder / "README.md").write_text("# Shop\n\nSells things.\n\n## Run\n\nmake run\n")
    (docs / "deploy.md").write_text(
        "# Deployments\n\nChecklist for production: migrate, then deploy.\n"
        "```sh\n# no heading\nmake deploy\n```\n"
    )
    found: Knowledge = await component(case.offer)
    return found


@pytest.fixture
async def swarm_id(knowledge: Knowledge) -> Any:
    """A swarm to work in."""
    swarm = await knowledge.create_swarm("deployments", description="Who deploys")
    return swarm["swarm_id"]


async def feature_of(knowledge: Any, swarm_id: str, **more: Any) -> Any:
    about = {"title": "Auth", "description": "OAuth", "owner": "codex"}
    return await knowledge.create_htask_feature(swarm_id, **{**about, **more})


async def task_of(knowledge: Any, swarm_id: str, **more: Any) -> str:
    about = {"title": "Refresh", "description": "Rotate", "owner": "codex"}
    made = await knowledge.create_htask(swarm_id, **{**about, **more})
    return str(made["task_id"])


async def test_promise_the_example_of_the_brief_works_as_it_stands(knowledge: Any) -> None:
    """Method for method, with the keywords and the keys that users know."""
    context = await knowledge.query_context(
        query="deployment checklist production", max_tokens=6000
    )
    await knowledge.remember(
        content="Chose Redis for rate limiting due to distributed nature",
        type="decision",
        category="architecture",
        ttl_days=30,
    )
    memories = await knowledge.recall(query="deployment failures", limit=5)
    swarm = await knowledge.create_swarm(
        name="deployment-coordination", description="Multi-agent deployment workflow"
    )
    await knowledge.set_state(
        swarm_id=swarm["swarm_id"],
        agent_id="coordinator",
        key="deployment_status",
        value={"phase": "validating", "progress": 75},
    )
    feature = await knowledge.create_htask_feature(
        swarm_id=swarm["swarm_id"],
        title="Auth Overhaul",
        description="Move auth to OAuth and JWT",
        owner="codex",
        workstreams=["API", "QA"],
    )
    task = await knowledge.create_htask(
        swarm_id=swarm["swarm_id"],
        parent_id=feature["workstream_ids"]["API"],
        title="Add refresh endpoint",
        description="Implement token rotation",
        owner="codex",
        evidence_required=[{"type": "test", "description": "targeted tests passed"}],
    )
    ready = await knowledge.recommend_htask_batch(
        swarm_id=swarm["swarm_id"], limit=5, owner="codex"
    )
    tree = await knowledge.get_htask_tree(swarm_id=swarm["swarm_id"], task_id=feature["feature_id"])
    done = await knowledge.complete_htask(
        swarm_id=swarm["swarm_id"],
        task_id=task["task_id"],
        evidence=[{"type": "test", "description": "pytest package suite passed"}],
        result={"files_modified": ["src/auth.py"]},
    )

    assert context["sections"][0]["file"] == "docs/deploy.md"
    assert memories["memories"] == []
    assert [each["id"] for each in ready["tasks"]] == [task["task_id"]]
    assert ready["tasks"][0]["path"] == [
        "Auth Overhaul",
        "Auth Overhaul: API",
        "Add refresh endpoint",
    ]
    assert [each["workstream_type"] for each in tree["tree"]["children"]] == ["API", "QA"]
    assert tree["tree"]["children"][0]["children"][0]["id"] == task["task_id"]
    assert (done["status"], done["auto_closed_parent"]) == (
        "COMPLETED",
        feature["workstream_ids"]["API"],
    )


async def test_passages_are_found_with_their_place(knowledge: Any) -> None:
    """The best first, with file, lines and relevance; what stands in code is no heading."""
    found = await knowledge.query_context("how are deployments migrated")
    best = found["sections"][0]

    assert (best["title"], best["file"], best["lines"]) == ("Deployments", "docs/deploy.md", [1, 7])
    assert 0 < best["relevance_score"] <= 1
    assert (await knowledge.query_context("zebra"))["sections"] == []


async def test_no_more_tokens_come_than_were_asked_for(knowledge: Any, here: Surroundings) -> None:
    """The last passage is cut, and says so."""
    (here.folder / "long.md").write_text("# Long\n" + "words and words\n" * 2_000)
    found = await knowledge.query_context("words", max_tokens=100)
    [section] = found["sections"]

    assert found["total_tokens"] <= 100
    assert (section["truncated"], len(section["content"])) == (True, 400)


async def test_documents_that_change_are_read_again(knowledge: Any, here: Surroundings) -> None:
    """New ones, changed ones, and those that are gone, with the next question."""
    path = here.folder / "docs" / "zebra.md"
    path.write_text("# Stripes\nzebra\n")
    [first] = (await knowledge.query_context("zebra"))["sections"]
    path.write_text("# Spots\nzebra and giraffe\n")
    [second] = (await knowledge.query_context("zebra"))["sections"]
    path.unlink()

    assert (first["title"], second["title"]) == ("Stripes", "Spots")
    assert (await knowledge.query_context("zebra"))["sections"] == []


async def test_what_is_remembered_is_recalled_by_its_words(knowledge: Any) -> None:
    """The most relevant first, by type and category where asked for, with a place from 0 to 1."""
    redis = await knowledge.remember("Chose Redis for rate limiting", category="architecture")
    await knowledge.remember("The deployment failed: a migration was missing", type="learning")
    await knowledge.remember("Deployments run on Fridays", type="fact", ttl_days=None)
    found = (await knowledge.recall("deployment failures"))["memories"]
    facts = (await knowledge.recall("deployment failures", type="fact"))["memories"]
    other = (await knowledge.recall("redis", category="orchestrator"))["memories"]

    assert redis["memory_id"]
    assert [each["content"][:14] for each in found] == ["The deployment", "Deployments ru"]
    assert 1 >= found[0]["relevance"] > found[1]["relevance"] > 0
    assert ([each["type"] for each in facts], other) == (["fact"], [])
    assert len((await knowledge.recall("deployment", limit=1))["memories"]) == 1


async def test_defect_validation_b9_relevance_is_told(knowledge: Any) -> None:
    """Under the name that the service gives it, and never 0 for what was found by its words."""
    await knowledge.remember("Chose Redis for rate limiting")
    [memory] = (await knowledge.recall("rate limiting with Redis"))["memories"]

    assert memory["relevance"] == 1.0


@pytest.mark.parametrize(
    "query", ['"', "a AND", "NEAR(", "x*y:z^", "-", "é ☃ \u202e", "' OR 1=1 --"]
)
async def test_a_query_is_words_and_no_language(query: str, knowledge: Any) -> None:
    """Whatever is typed is looked for; nothing of it is a command."""
    await knowledge.remember("Chose Redis")

    assert (await knowledge.recall(query))["memories"] == []


async def test_memories_are_listed_in_pages(knowledge: Any) -> None:
    """The newest first, with their number."""
    for number in range(5):
        await knowledge.remember(f"memory {number}")
    page = await knowledge.list_memories(limit=2, offset=1)
    last = await knowledge.list_memories(limit=2, offset=4)

    assert [each["content"] for each in page["memories"]] == ["memory 3", "memory 2"]
    assert (page["total_count"], page["has_more"], last["has_more"]) == (5, True, False)


async def test_a_swarm_takes_so_many_agents(knowledge: Any) -> None:
    """Who has joined may join again."""
    swarm = await knowledge.create_swarm("two", max_agents=2)
    again = await knowledge.create_swarm("two", reuse_existing=True)
    for agent in ("a", "b", "a"):
        joined = await knowledge.join_swarm(
            swarm["swarm_id"], agent_id=agent, name="A", capabilities=["python"]
        )
        assert joined["role"] == "worker"

    assert again["swarm_id"] == swarm["swarm_id"]
    with pytest.raises(ConflictError):
        await knowledge.join_swarm(swarm["swarm_id"], agent_id="c", role="observer")


@pytest.mark.parametrize(
    "value",
    [5, "text", "", None, True, [], {}, {"value": 5}, {"raw": "x"}, {"a": {"value": [1.5, None]}}],
    ids=str,
)
async def test_values_come_back_as_they_were(value: Any, knowledge: Any, swarm_id: str) -> None:
    """A table whose only key is `value` or `raw` too, which the service unwraps."""
    put = await knowledge.set_state(swarm_id, agent_id="a", key="k", value=value)
    found = await knowledge.get_state(swarm_id, key="k")

    assert (found["found"], found["value"], found["version"]) == (True, value, put["version"])
    assert (await knowledge.get_state(swarm_id, key="other"))["found"] is False


async def test_a_value_is_changed_only_from_the_version_that_was_seen(
    knowledge: Any, swarm_id: str
) -> None:
    """Of ten who saw the same, one wins; the others are told."""

    async def put(number: int) -> Any:
        return await knowledge.set_state(
            swarm_id, agent_id=f"a{number}", key="k", value=number, expected_version=1
        )

    await knowledge.set_state(swarm_id, agent_id="a", key="k", value=0, expected_version=0)
    results = await asyncio.gather(*map(put, range(10)), return_exceptions=True)
    kept = await knowledge.get_state(swarm_id, key="k")

    assert [type(each) for each in results].count(ConflictError) == 9
    assert (kept["version"], kept["updated_by"]) == (2, f"a{kept['value']}")


async def test_an_event_is_told(knowledge: Any, swarm_id: str) -> None:
    """And has an id."""
    told = await knowledge.broadcast(swarm_id, agent_id="a", event_type="done", payload={"n": 1})

    assert told["event_id"]


async def test_a_feature_has_the_usual_workstreams_where_none_are_named(
    knowledge: Any, swarm_id: str
) -> None:
    """Each with an owner of its own, where one is named."""
    feature = await feature_of(knowledge, swarm_id, workstream_owners={"QA": "tester"})
    tree = (await knowledge.get_htask_tree(swarm_id, task_id=feature["feature_id"]))["tree"]
    usual = ["API", "FRONTEND", "QA", "BUGFIX_HARDENING", "DEPLOY_PROD_VERIFY"]

    assert list(feature["workstream_ids"]) == usual
    assert [each["owner"] for each in tree["children"]] == ["codex"] * 2 + ["tester"] + [
        "codex"
    ] * 2


async def test_levels_fall_from_parent_to_child(knowledge: Any, swarm_id: str) -> None:
    """So there are no circles, and no tree is deeper than four."""
    top = await task_of(knowledge, swarm_id, level="N0_INITIATIVE")
    feature = await feature_of(knowledge, swarm_id, parent_id=top, workstreams=["API"])
    leaf = await task_of(knowledge, swarm_id, parent_id=feature["workstream_ids"]["API"])
    shallow = await knowledge.get_htask_tree(swarm_id, max_depth=2)

    assert (shallow["total_roots"], shallow["trees"][0]["id"]) == (1, top)
    assert shallow["trees"][0]["children"][0]["children"] == []
    for level, parent in (("N3_TASK", leaf), ("N1_FEATURE", feature["feature_id"])):
        with pytest.raises(InvalidRequestError):
            await task_of(knowledge, swarm_id, level=level, parent_id=parent)
    with pytest.raises(NotFoundError):
        await task_of(knowledge, swarm_id, parent_id="htask_nobody")


async def test_urgent_tasks_come_first_and_blocked_ones_not_at_all(
    knowledge: Any, swarm_id: str
) -> None:
    """A task below something blocked is blocked; filters take part of what is left."""
    feature = await feature_of(knowledge, swarm_id, workstreams=["API", "QA"])
    api, qa = feature["workstream_ids"].values()
    late = await task_of(knowledge, swarm_id, parent_id=api, priority="P2")
    soon = await task_of(knowledge, swarm_id, parent_id=api, priority="P0")
    tests = await task_of(knowledge, swarm_id, parent_id=qa, owner="tester")
    lonely = await task_of(knowledge, swarm_id)

    async def ids(**filters: Any) -> list[str]:
        found = await knowledge.recommend_htask_batch(swarm_id, **filters)
        assert found["total"] >= len(found["tasks"])
        return [each["id"] for each in found["tasks"]]

    assert await ids() == [soon, tests, lonely, late]
    assert await ids(limit=1) == [soon]
    assert await ids(feature_id=feature["feature_id"], owner="codex") == [soon, late]
    assert await ids(workstream_type="QA") == [tests]
    await knowledge.block_htask(
        swarm_id, task_id=api, blocker_type="ACCESS", blocker_reason="no credentials"
    )
    assert await ids() == [tests, lonely]
    assert await ids(exclude_blocked=False) == [soon, tests, lonely, late]
    with pytest.raises(ConflictError, match="no credentials"):
        await knowledge.complete_htask(swarm_id, task_id=soon)
    await knowledge.unblock_htask(swarm_id, task_id=api)
    assert await ids() == [soon, tests, lonely, late]


async def test_the_last_child_completes_its_parents(knowledge: Any, swarm_id: str) -> None:
    """Those that are not blocking are not waited for."""
    feature = await feature_of(knowledge, swarm_id, workstreams=["API"])
    parent = feature["workstream_ids"]["API"]
    one, two = [await task_of(knowledge, swarm_id, parent_id=parent) for _ in range(2)]
    await task_of(knowledge, swarm_id, parent_id=parent, is_blocking=False)
    first = await knowledge.complete_htask(swarm_id, task_id=one)
    second = await knowledge.complete_htask(swarm_id, task_id=two)
    tree = (await knowledge.get_htask_tree(swarm_id, task_id=feature["feature_id"]))["tree"]

    assert (first["auto_closed_parent"], second["auto_closed_parent"]) == (None, parent)
    assert tree["status"] == "COMPLETED"
    with pytest.raises(ConflictError):
        await knowledge.complete_htask(swarm_id, task_id=one)
    with pytest.raises(ConflictError):
        await task_of(knowledge, swarm_id, parent_id=parent)


@pytest.mark.parametrize("evidence", [None, [{"type": "test"}], [{"type": "note", "text": "ok"}]])
async def test_defect_validation_a11_a_refusal_is_an_error(
    evidence: Any, knowledge: Any, swarm_id: str
) -> None:
    """Evidence that is required has its type and words of its own; without it nothing is done."""
    task = await task_of(knowledge, swarm_id, evidence_required=[{"type": "test"}])
    with pytest.raises(InvalidRequestError):
        await knowledge.complete_htask(swarm_id, task_id=task, evidence=evidence)
    feature = await feature_of(knowledge, swarm_id)
    with pytest.raises(InvalidRequestError):
        await knowledge.complete_htask(swarm_id, task_id=feature["feature_id"])

    [ready] = (await knowledge.recommend_htask_batch(swarm_id))["tasks"]
    assert (ready["id"], ready["status"]) == (task, "PENDING")


async def test_defect_validation_a10_each_evidence_that_is_required_is_given(
    knowledge: Any, swarm_id: str
) -> None:
    """Of a type that is required twice, once is not enough; and nothing is done without."""
    required = [{"type": "test", "description": each} for each in ("unit", "end to end")]
    task = await task_of(knowledge, swarm_id, evidence_required=required)
    unit, whole = [{"type": "test", "description": f"{each} passed"} for each in ("unit", "all")]
    for evidence in ([], [unit], [unit, {"type": "test", "description": " "}]):
        with pytest.raises(InvalidRequestError):
            await knowledge.complete_htask(swarm_id, task_id=task, evidence=evidence)
    done = await knowledge.complete_htask(swarm_id, task_id=task, evidence=[unit, whole])

    assert done["status"] == "COMPLETED"


async def test_what_was_learned_is_remembered(knowledge: Any, swarm_id: str) -> None:
    """Unless it shall not be."""
    one, two = [await task_of(knowledge, swarm_id) for _ in range(2)]
    learned = {"learnings": ["Rotate keys before deploying"], "decision_impact": "fewer outages"}
    done = await knowledge.complete_htask(swarm_id, task_id=one, **learned)
    quiet = await knowledge.complete_htask(swarm_id, task_id=two, create_memory=False, **learned)
    [memory] = (await knowledge.recall("rotate keys"))["memories"]

    assert memory["memory_id"] == done["linked_memory_id"]
    assert quiet["linked_memory_id"] is None


async def test_odd_text_is_kept_or_refused_in_the_words_of_the_port(knowledge: Any) -> None:
    """What steers a terminal is text; half of a character is none."""
    for text in ("a\0b", "\x1b[2J", "\ufeff", "😀" * 1_000, "\r\n x"):
        await knowledge.remember(text)
        assert (await knowledge.list_memories(limit=1))["memories"][0]["content"] == text
    for call in (knowledge.remember, knowledge.recall, knowledge.create_swarm):
        with pytest.raises(InvalidRequestError):
            await call("half \ud800")


@pytest.mark.parametrize(
    "call",
    [
        lambda found: found.remember("x", type="opinion"),
        lambda found: found.remember("x", ttl_days=-1),
        lambda found: found.remember("  "),
        lambda found: found.remember("x" * 100_001),
        lambda found: found.recall("x", limit=-1),
        lambda found: found.recall("x", limit=True),
        lambda found: found.recall(None),
        lambda found: found.query_context("x", search_mode="magic"),
        lambda found: found.query_context("x", max_tokens=0),
        lambda found: found.create_swarm(""),
        lambda found: found.join_swarm("s", agent_id="a", role="king"),
        lambda found: found.set_state("s", agent_id="a", key="k", value=float("nan")),
        lambda found: found.set_state("s", agent_id="a", key="k", value=object()),
        lambda found: found.set_state("s", agent_id="a", key="k", value=1, ttl_seconds=-5),
        lambda found: found.broadcast("s", agent_id="a", event_type="e", payload=[1]),
        lambda found: task_of(found, "s", priority="P9"),
        lambda found: task_of(found, "s", level="N4"),
        lambda found: task_of(found, "s", level="N2_WORKSTREAM"),
        lambda found: task_of(found, "s", level="N0_INITIATIVE", parent_id="p"),
        lambda found: task_of(found, "s", execution_target="MOON"),
        lambda found: task_of(found, "s", eta_target="soon"),
        lambda found: task_of(found, "s", evidence_required=[{"kind": "x"}]),
        lambda found: task_of(found, "s", owner=None),
        lambda found: found.complete_htask("s", task_id="t", evidence=["done"]),
        lambda found: found.block_htask("s", task_id="t", blocker_type="MOOD", blocker_reason="x"),
    ],
)
async def test_defect_validation_b17_what_no_knowledge_takes_is_refused(
    call: Any, knowledge: Any
) -> None:
    """Alike by every provider, before anything is sent; what was typed is not repeated."""
    with pytest.raises(InvalidRequestError) as caught:
        await call(knowledge)

    assert caught.value.backend == "knowledge"


@pytest.mark.parametrize(
    "call",
    [
        lambda found: found.get_state("swarm_nobody", key="k"),
        lambda found: found.set_state("swarm_nobody", agent_id="a", key="k", value=1),
        lambda found: found.join_swarm("swarm_nobody", agent_id="a"),
        lambda found: found.broadcast("swarm_nobody", agent_id="a", event_type="e"),
        lambda found: task_of(found, "swarm_nobody"),
        lambda found: feature_of(found, "swarm_nobody"),
        lambda found: found.recommend_htask_batch("swarm_nobody"),
        lambda found: found.get_htask_tree("swarm_nobody"),
        lambda found: found.complete_htask("swarm_nobody", task_id="t"),
    ],
)
async def test_a_swarm_that_nobody_made_is_not_found(call: Any, knowledge: Any) -> None:
    """And nothing is kept for it."""
    with pytest.raises(NotFoundError) as caught:
        await call(knowledge)

    assert isinstance(caught.value, AdapterError)


async def test_a_task_of_another_swarm_is_not_found(knowledge: Any, swarm_id: str) -> None:
    """Each swarm sees its own work only."""
    other = (await knowledge.create_swarm("other"))["swarm_id"]
    task = await task_of(knowledge, other)

    with pytest.raises(NotFoundError):
        await knowledge.complete_htask(swarm_id, task_id=task)
    with pytest.raises(NotFoundError):
        await knowledge.get_htask_tree(swarm_id, task_id=task)
    with pytest.raises(NotFoundError):
        await task_of(knowledge, swarm_id, parent_id=task)


async def test_many_at_once_lose_nothing(knowledge: Any, swarm_id: str, tmp_path: Path) -> None:
    """Fifty memories and fifty tasks, each kept once."""
    await asyncio.gather(
        *(knowledge.remember(f"note {number}") for number in range(50)),
        *(task_of(knowledge, swarm_id, title=f"t{number}") for number in range(50)),
    )
    tree = await knowledge.get_htask_tree(swarm_id)

    assert (await knowledge.list_memories())["total_count"] == 50
    assert sorted(each["sequence_number"] for each in tree["trees"]) == list(range(1, 51))
