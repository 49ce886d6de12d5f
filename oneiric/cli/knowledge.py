"""Commands of validation about what is known: memories, swarms and hierarchical tasks."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from oneiric.cli.desks import desk_of
from oneiric.cli.groups import Groups
from oneiric.cli.output import AsJSON, foreign_aside, show_answer
from oneiric.documents import parse
from oneiric.errors import DocumentError, InvalidError

if TYPE_CHECKING:
    from oneiric.errors import JSONValue

app = typer.Typer(cls=Groups, no_args_is_help=True, add_completion=False)
"""The whole group of validation: the commands about tasks are added beside those here."""

Swarm = Annotated[str, typer.Option("--swarm-id", "-s", help="The swarm.", metavar="SWARM")]
Owner = Annotated[str, typer.Option("--owner", "-o", help="Who owns it.")]
Description = Annotated[str, typer.Option("--description", "-d", help="What it is, at length.")]
Parent = Annotated[str | None, typer.Option("--parent-id", help="The task it belongs to.")]
Limit = Annotated[int, typer.Option("--limit", "-l", help="At most so many.", min=1, max=100)]


@app.command("recall")
def recall(
    context: typer.Context,
    query: Annotated[str, typer.Argument(help="What is looked for.")],
    *,
    limit: Limit = 5,
    kind: Annotated[str | None, typer.Option("--type", "-t", help="Only of this type.")] = None,
    category: Annotated[
        str | None, typer.Option("--category", "-c", help="Only of this category.")
    ] = None,
    as_json: AsJSON = False,
) -> None:
    """Recall what earlier sessions remembered, the most relevant first."""
    _show(
        context,
        "recall",
        as_json=as_json,
        query=query,
        limit=limit,
        type=kind,
        category=category,
    )


@app.command("remember")
def remember(
    context: typer.Context,
    content: Annotated[str, typer.Argument(help="What to remember.", metavar="TEXT")],
    *,
    kind: Annotated[
        str,
        typer.Option("--type", "-t", help="fact, decision, learning, preference, todo or context."),
    ] = "decision",
    category: Annotated[str, typer.Option("--category", "-c", help="Under which it is kept.")] = (
        "orchestrator"
    ),
    ttl: Annotated[int, typer.Option("--ttl", help="Days that it is kept.", min=1)] = 30,
    as_json: AsJSON = False,
) -> None:
    """Remember a text for later sessions."""
    _show(
        context,
        "remember",
        as_json=as_json,
        content=content,
        type=kind,
        category=category,
        ttl_days=ttl,
    )


@app.command("swarm-create")
def swarm_create(
    context: typer.Context,
    name: Annotated[str, typer.Argument(help="Its name.")],
    *,
    description: Description = "",
    max_agents: Annotated[int, typer.Option(help="At most so many agents.", min=1)] = 10,
    task_timeout: Annotated[
        int | None, typer.Option(help="Seconds that a task may take.", min=1)
    ] = None,
    claim_timeout: Annotated[
        int | None, typer.Option(help="Seconds that a claim lasts.", min=1)
    ] = None,
    as_json: AsJSON = False,
) -> None:
    """Make a swarm: agents that share state and tasks."""
    _show(
        context,
        "create_swarm",
        as_json=as_json,
        name=name,
        description=description,
        max_agents=max_agents,
        task_timeout=task_timeout,
        claim_timeout=claim_timeout,
    )


@app.command("swarm-join")
def swarm_join(
    context: typer.Context,
    *,
    swarm_id: Swarm,
    agent_id: Annotated[str, typer.Option("--agent-id", "-a", help="Who joins.")],
    name: Annotated[str | None, typer.Option(help="What they are called.")] = None,
    role: Annotated[
        str, typer.Option("--role", "-r", help="coordinator, worker or observer.")
    ] = "worker",
    capability: Annotated[
        list[str] | None, typer.Option("--capability", "-c", help="What they can do.")
    ] = None,
    as_json: AsJSON = False,
) -> None:
    """Let an agent join a swarm; joining again says that it is still there."""
    _show(
        context,
        "join_swarm",
        as_json=as_json,
        swarm_id=swarm_id,
        agent_id=agent_id,
        name=name,
        role=role,
        capabilities=capability or None,
    )


@app.command("htask-create-feature")
def htask_create_feature(
    context: typer.Context,
    title: Annotated[str, typer.Argument(help="Its title.")],
    *,
    swarm_id: Swarm,
    description: Description,
    owner: Owner,
    parent_id: Parent = None,
    workstream: Annotated[
        list[str] | None, typer.Option("--workstream", "-w", help="A workstream of it, by type.")
    ] = None,
    workstream_owner: Annotated[
        list[str] | None, typer.Option(help="Who owns one.", metavar="TYPE=OWNER")
    ] = None,
    as_json: AsJSON = False,
) -> None:
    """Make a feature with its workstreams."""
    _show(
        context,
        "create_htask_feature",
        as_json=as_json,
        swarm_id=swarm_id,
        title=title,
        description=description,
        owner=owner,
        parent_id=parent_id,
        workstreams=workstream or None,
        workstream_owners=_pairs("--workstream-owner", workstream_owner or []) or None,
    )


@app.command("htask-create")
def htask_create(
    context: typer.Context,
    title: Annotated[str, typer.Argument(help="Its title.")],
    *,
    swarm_id: Swarm,
    description: Description,
    owner: Owner,
    level: Annotated[
        str, typer.Option("--level", "-l", help="N0_INITIATIVE, N1_FEATURE, N2_WORKSTREAM, N3_TASK")
    ] = "N3_TASK",
    parent_id: Parent = None,
    priority: Annotated[str, typer.Option("--priority", "-p", help="P0, P1 or P2.")] = "P1",
    eta_target: Annotated[str | None, typer.Option(help="When it is due, ISO 8601.")] = None,
    execution_target: Annotated[
        str | None, typer.Option(help="LOCAL, CLOUD, HYBRID or EXTERNAL.")
    ] = None,
    workstream_type: Annotated[str | None, typer.Option(help="Of a workstream, its type.")] = None,
    acceptance: Annotated[
        list[str] | None, typer.Option(help="When it is accepted.", metavar="JSON")
    ] = None,
    context_ref: Annotated[list[str] | None, typer.Option(help="What it refers to.")] = None,
    context_query: Annotated[str | None, typer.Option(help="What to ask for it.")] = None,
    evidence_required: Annotated[
        list[str] | None, typer.Option(help="What must be shown.", metavar="JSON")
    ] = None,
    blocking: Annotated[
        bool, typer.Option("--blocking/--not-blocking", help="Whether its parent waits for it.")
    ] = True,
    as_json: AsJSON = False,
) -> None:
    """Make a hierarchical task, usually a leaf under a workstream."""
    _show(
        context,
        "create_htask",
        as_json=as_json,
        swarm_id=swarm_id,
        title=title,
        description=description,
        owner=owner,
        level=level,
        parent_id=parent_id,
        priority=priority,
        eta_target=eta_target,
        execution_target=execution_target,
        workstream_type=workstream_type,
        acceptance_criteria=_documents("--acceptance", acceptance) or None,
        context_refs=context_ref or None,
        context_query=context_query,
        evidence_required=_documents("--evidence-required", evidence_required) or None,
        is_blocking=blocking,
    )


@app.command("htask-next")
def htask_next(
    context: typer.Context,
    *,
    swarm_id: Swarm,
    feature_id: Annotated[str | None, typer.Option(help="Only of this feature.")] = None,
    workstream_type: Annotated[str | None, typer.Option(help="Only of such a workstream.")] = None,
    owner: Annotated[str | None, typer.Option("--owner", "-o", help="Only of this owner.")] = None,
    limit: Limit = 5,
    include_blocked: Annotated[
        bool, typer.Option("--include-blocked", help="Tell those that are blocked too.")
    ] = False,
    as_json: AsJSON = False,
) -> None:
    """Tell which tasks are ready to be done next."""
    _show(
        context,
        "recommend_htask_batch",
        as_json=as_json,
        swarm_id=swarm_id,
        feature_id=feature_id,
        workstream_type=workstream_type,
        owner=owner,
        limit=limit,
        exclude_blocked=not include_blocked,
    )


@app.command("htask-complete")
def htask_complete(
    context: typer.Context,
    task_id: Annotated[str, typer.Argument(help="The task.", metavar="TASK")],
    *,
    swarm_id: Swarm,
    evidence: Annotated[
        list[str] | None,
        typer.Option("--evidence", "-e", help="What shows it.", metavar="TYPE:TEXT|JSON"),
    ] = None,
    result: Annotated[str | None, typer.Option(help="What came of it, in words.")] = None,
    result_json: Annotated[
        str | None, typer.Option(help="What came of it.", metavar="JSON")
    ] = None,
    learning: Annotated[list[str] | None, typer.Option(help="What was learned.")] = None,
    decision_impact: Annotated[str | None, typer.Option(help="What follows from it.")] = None,
    create_memory: Annotated[
        bool, typer.Option("--create-memory/--no-create-memory", help="Whether to remember it.")
    ] = True,
    as_json: AsJSON = False,
) -> None:
    """Complete a task, with what shows that it is done."""
    if result is not None and result_json is not None:
        raise InvalidError("say what came of it once: --result or --result-json")
    told: JSONValue = {"summary": result} if result is not None else None
    if result_json is not None:
        told = _document("--result-json", result_json)
    _show(
        context,
        "complete_htask",
        as_json=as_json,
        swarm_id=swarm_id,
        task_id=task_id,
        evidence=[_evidence(each) for each in evidence or []] or None,
        result=told,
        learnings=learning or None,
        decision_impact=decision_impact,
        create_memory=create_memory,
    )


@app.command("htask-tree")
def htask_tree(
    context: typer.Context,
    *,
    swarm_id: Swarm,
    task_id: Annotated[str | None, typer.Option("--task-id", "-t", help="Its root.")] = None,
    max_depth: Annotated[int, typer.Option(help="How deep to look.", min=1, max=20)] = 4,
    include_archived: Annotated[
        bool, typer.Option("--include-archived", help="Show what is archived too.")
    ] = False,
    as_json: AsJSON = False,
) -> None:
    """Show tasks with those below them."""
    _show(
        context,
        "get_htask_tree",
        as_json=as_json,
        swarm_id=swarm_id,
        task_id=task_id,
        max_depth=max_depth,
        include_archived=include_archived,
    )


def _show(context: typer.Context, verb: str, /, *, as_json: bool, **asked: JSONValue) -> None:
    """Show what *verb* answers to *asked*, less what nobody gave."""
    given = {name: value for name, value in asked.items() if value is not None}
    desk = desk_of(context)
    with foreign_aside():
        answer = desk.knowledge(verb, given)
    show_answer(answer, as_json=as_json)


def _document(option: str, text: str) -> dict[str, JSONValue]:
    """Return a JSON object that was given as an option.

    Raises:
        InvalidError: it is none.
    """
    try:
        found = parse(text.encode(), "json", source=option)
    except DocumentError as error:
        raise InvalidError(error.message, hint=f"{option} takes a JSON object") from None
    if not isinstance(found, dict):
        raise InvalidError(f"{option} takes a JSON object, not {json.dumps(found)[:40]}")
    return found


def _documents(option: str, texts: Sequence[str] | None) -> list[JSONValue]:
    return [_document(option, text) for text in texts or []]


def _evidence(text: str) -> JSONValue:
    """Return one piece of evidence: a JSON object, `type:description`, or a note.

    >>> _evidence("test:pytest tests/validation"), _evidence("looked at it")
    ({'type': 'test', 'description': 'pytest tests/validation'}, \
{'type': 'note', 'description': 'looked at it'})
    """
    if text.lstrip().startswith("{"):
        return _document("--evidence", text)
    kind, found, description = text.partition(":")
    if not found:
        return {"type": "note", "description": text}
    return {"type": kind.strip(), "description": description.strip()}


def _pairs(option: str, texts: Sequence[str]) -> dict[str, JSONValue]:
    pairs = [text.partition("=") for text in texts]
    if wrong := next((name for name, found, owner in pairs if not (name and found and owner)), ""):
        raise InvalidError(f"{option} {wrong} is no TYPE=OWNER")
    return {name: owner for name, _, owner in pairs}
