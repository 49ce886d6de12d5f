"""Commands that describe an action and run one."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from oneiric.cli.output import AsJSON, answered, session_of, show, show_answer, show_json
from oneiric.documents import DocumentLimits, parse
from oneiric.files import read_bounded

if TYPE_CHECKING:
    from oneiric.errors import JSONValue

PAYLOAD_LIMITS = DocumentLimits(max_bytes=16 * 1024 * 1024)

app = typer.Typer(no_args_is_help=True, add_completion=False, help="Describe actions.")
Key = Annotated[str, typer.Argument(help="The key, such as compression.hash.", metavar="KEY")]
Provider = Annotated[str, typer.Option(help="Ask for this provider.")]


@app.callback()
def group() -> None:
    """Describe actions."""


@app.command("describe")
def describe(
    context: typer.Context, key: Key, *, provider: Provider = "", as_json: AsJSON = False
) -> None:
    """Print what an action takes and gives, as JSON Schemas."""
    answer = session_of(context).operator.describe_action(key, provider=provider).as_json()
    if as_json:
        show_json(answer)
        return
    show(f"{answer['ref']}@{answer['provider']}")
    show(str(answer["summary"]))
    for name in ("payload", "result"):
        schema = answer[name]
        show(f"\n{name}: {_indented(schema) if schema else 'any JSON; its author wrote no model'}")


def invoke(
    context: typer.Context,
    key: Key,
    *,
    payload: Annotated[
        str, typer.Option(help="A JSON value, or @FILE for one in a file.", metavar="JSON|@FILE")
    ] = "{}",
    provider: Provider = "",
    workflow: Annotated[
        str, typer.Option(help="Take the routes of this workflow.", metavar="KEY")
    ] = "",
    send_notification: Annotated[
        bool, typer.Option("--send-notification", help="Send what workflow.notify gives.")
    ] = False,
    notify_provider: Annotated[
        str, typer.Option(help="Send through this provider, not that of the routes.")
    ] = "",
    notify_target: Annotated[str, typer.Option(help="Send to this channel only.")] = "",
    notify_title: Annotated[str, typer.Option(help="Send under this title.")] = "",
    as_json: AsJSON = False,
) -> None:
    """Run an action and print its result; that of workflow.notify can be sent."""
    given = _payload(payload)
    notice: dict[str, JSONValue] = {
        "workflow": workflow,
        "send": send_notification,
        "provider": notify_provider,
        "target": notify_target,
        "title": notify_title,
    }
    asked: dict[str, JSONValue] = {"action": key, "payload": given, "provider": provider}
    if any(notice.values()):
        asked["notice"] = notice
    show_answer(answered(session_of(context), "action-invoke", asked), as_json=as_json)


def _payload(text: str) -> JSONValue:
    if text.startswith("@"):
        path = Path(text[1:])
        content = read_bounded(path, limit=PAYLOAD_LIMITS.max_bytes)
        return parse(content, "json", source=str(path), limits=PAYLOAD_LIMITS)
    return parse(text.encode(), "json", source="--payload", limits=PAYLOAD_LIMITS)


def _indented(value: JSONValue) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False)
