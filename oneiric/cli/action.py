"""Commands that describe an action and run one."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from oneiric.cli.output import AsJSON, session_of, show, show_json
from oneiric.documents import DocumentLimits, parse
from oneiric.files import read_bounded

if TYPE_CHECKING:
    from oneiric.errors import JSONValue
    from oneiric.runtime.notification_operator import Notice

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
    """Run an action in this process and print its result; that of workflow.notify can be sent."""
    given = _payload(payload)
    override = (notify_provider, notify_target, notify_title)
    notice = _notice(workflow, override, send=send_notification)
    operator = session_of(context).operator
    answer = asyncio.run(operator.invoke_action(key, given, provider=provider, notice=notice))
    if as_json:
        show_json(answer.as_json())
    else:
        show(_indented(answer.result))
        show("\n".join(answer.notification.lines()) if answer.notification else "")
    raise typer.Exit(answer.exit_code)


def _notice(workflow: str, override: tuple[str, str, str], *, send: bool) -> Notice | None:
    if not (workflow or send or any(override)):
        return None
    from oneiric.runtime.notification_operator import Notice  # for commands that send
    from oneiric.runtime.notification_route import NotificationRoute

    provider, target, title = override
    route = NotificationRoute(provider=provider, target=target, title=title)
    return Notice(workflow=workflow, send=send, override=route)


def _payload(text: str) -> JSONValue:
    if text.startswith("@"):
        path = Path(text[1:])
        content = read_bounded(path, limit=PAYLOAD_LIMITS.max_bytes)
        return parse(content, "json", source=str(path), limits=PAYLOAD_LIMITS)
    return parse(text.encode(), "json", source="--payload", limits=PAYLOAD_LIMITS)


def _indented(value: JSONValue) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False)
