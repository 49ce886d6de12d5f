"""The orchestrator that runs in a folder, as another process asks it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, cast

from oneiric.web.control.client import ControlClient
from oneiric.web.control.protocol import ANSWER, COLOUR, COLUMNS, VERBS

if TYPE_CHECKING:
    from collections.abc import Callable

    from oneiric.errors import JSONValue
    from oneiric.runtime.answer import View
    from oneiric.runtime.operator import Operator


@dataclass(frozen=True, slots=True)
class LiveAnswer:
    """What a running orchestrator answered, laid out there for the terminal here."""

    document: Mapping[str, JSONValue]
    text: str
    errors: tuple[str, ...]
    notices: tuple[str, ...]
    exit_code: int

    def as_json(self) -> Mapping[str, JSONValue]:
        """Return its document."""
        return self.document

    def render(self, *, columns: int, colour: bool) -> str:
        """Return its text, which is laid out already."""
        return self.text


class Live:
    """Ask the orchestrator that runs in a folder."""

    def __init__(self, client: ControlClient, view: Callable[[], View]) -> None:
        self._client = client
        self._view = view

    def ask(self, verb: str, asked: Mapping[str, JSONValue]) -> LiveAnswer:
        """Have it do *verb*.

        Raises:
            ToldError: it says why that was not done.
            UnavailableError: it cannot be reached, goes away, or is not heard in time.
        """
        known, view = VERBS[verb], self._view()
        headers = {"Accept": ANSWER, COLUMNS: str(min(view.columns, 9_999))}
        if view.colour:
            headers[COLOUR] = "yes"
        said = {name: value for name, value in asked.items() if value is not None}
        reply = self._client.ask(known.path, said, reads=known.reads, headers=headers)
        document = cast("Mapping[str, JSONValue]", reply.body["document"])
        errors, notices = (tuple(map(str, reply.body[name])) for name in ("errors", "notices"))
        return LiveAnswer(document, str(reply.body["text"]), errors, notices, reply.exit_code)


def live_of(operator: Operator) -> Live | None:
    """Return the orchestrator of the folder, where one runs as *operator* was told to ask.

    Raises:
        UnavailableError: there is one, and it cannot be asked or does not answer.
    """
    client = ControlClient(operator.socket)
    if not client.is_there():
        return None
    live = Live(client, operator.view)
    if operator.path is None and operator.profile is None:
        return live
    told = live.ask("ping", {}).document
    folder = Path(str(told["folder"]))
    file = folder / str(told["config"]) if told["config"] else None
    named = folder / operator.path if operator.path is not None else file
    if (named and named.resolve()) != (file and file.resolve()):
        return None
    return live if operator.profile in (None, told["profile"]) else None
