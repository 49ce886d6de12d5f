"""The magics: what each takes, what it asks for, and how its words are completed."""

from __future__ import annotations

import argparse
import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NoReturn, TypeAlias

from oneiric.core.guard import attempt
from oneiric.core.ref import DOMAINS
from oneiric.errors import InvalidError

if TYPE_CHECKING:
    from oneiric.shell.verbs import Said, Verbs

MOST_RUNS = 1_000
_RUNS = 20
Asked: TypeAlias = "Callable[[Verbs, Any], Said]"


class _Words(argparse.ArgumentParser):
    """Read the words of a line; what is wrong with them is an error like any other."""

    def error(self, message: str) -> NoReturn:
        raise InvalidError(message, hint=" ".join(self.format_usage().split()[1:]))


@dataclass(frozen=True, slots=True)
class Magic:
    """One magic: its words, and what it does with them."""

    summary: str
    words: Mapping[str, Mapping[str, Any]]
    does: Asked

    def __call__(self, name: str, verbs: Verbs, line: str) -> Said:
        """Do what *line* says.

        Raises:
            InvalidError: the line cannot be read.
            OneiricError: what it asks for was not done.
        """
        words = _Words(prog=f"%{name}", add_help=False, allow_abbrev=False)
        for word, more in self.words.items():
            words.add_argument(word, **more)
        try:
            given = shlex.split(line)
        except ValueError as error:
            raise InvalidError(f"the line cannot be read: {error}".lower()) from None
        return self.does(verbs, words.parse_args(given))


def _limit(text: str) -> int:
    if not text.isdecimal() or not 0 < int(text) <= MOST_RUNS:
        raise argparse.ArgumentTypeError(f"{text!r} is no number from 1 to {MOST_RUNS}")
    return int(text)


def _seconds(text: str) -> float:
    seconds = attempt(lambda: float(text)).value
    if seconds is None or not 0 <= seconds <= 86_400:
        raise argparse.ArgumentTypeError(f"{text!r} is no number of seconds")
    return seconds


_REF: Mapping[str, Mapping[str, Any]] = {"ref": {"metavar": "REF"}}
_DOMAIN: Mapping[str, Mapping[str, Any]] = {
    "domain": {"nargs": "?", "default": "", "metavar": "DOMAIN"}
}
_NOTE: Mapping[str, Mapping[str, Any]] = {"--note": {"default": ""}}

MAGICS: Mapping[str, Magic] = MappingProxyType(
    {
        "status": Magic(
            "Show how each component stands.",
            _DOMAIN,
            lambda verbs, said: verbs.status(said.domain),
        ),
        "explain": Magic(
            "Say who serves a component, and why.",
            {
                **_REF,
                "--needs": {"action": "append", "default": []},
                "--assume": {"action": "append", "default": []},
            },
            lambda verbs, said: verbs.explain(said.ref, needs=said.needs, assume=said.assume),
        ),
        "swap": Magic(
            "Swap a component, and store the selection.",
            {
                **_REF,
                "provider": {"nargs": "?", "default": "", "metavar": "PROVIDER"},
                "--clear": {"action": "store_true"},
            },
            lambda verbs, said: verbs.swap(said.ref, provider=said.provider, clear=said.clear),
        ),
        "runs": Magic(
            "List the newest runs.",
            {"limit": {"nargs": "?", "type": _limit, "default": _RUNS, "metavar": "N"}},
            lambda verbs, said: verbs.runs(said.limit),
        ),
        "pause": Magic(
            "Let a component take no new work.",
            {**_REF, **_NOTE},
            lambda verbs, said: verbs.pause(said.ref, note=said.note),
        ),
        "resume": Magic(
            "Let a component take work again.", _REF, lambda verbs, said: verbs.resume(said.ref)
        ),
        "drain": Magic(
            "Pause, and wait for what is in flight.",
            {**_REF, **_NOTE, "--limit": {"type": _seconds, "default": None}},
            lambda verbs, said: verbs.drain(said.ref, note=said.note, limit=said.limit),
        ),
        "activity": Magic(
            "List what is paused or draining.",
            _DOMAIN,
            lambda verbs, said: verbs.activity(said.domain),
        ),
        "health": Magic(
            "Ask everything that is up whether it is healthy.",
            _DOMAIN,
            lambda verbs, said: verbs.health(said.domain),
        ),
    }
)


def completions(verbs: Verbs, line: str) -> tuple[str, Sequence[str]]:
    """Return the word that *line* ends with, and what it may become.

    A line that is none of the magics' has nothing to complete.
    """
    name, space, rest = line.lstrip().removeprefix("%").partition(" ")
    words = rest.split(" ")
    begun, before = words[-1], [word for word in words[:-1] if word]
    if not space or name not in MAGICS:
        return begun, ()
    if begun.startswith("-"):
        known: Sequence[str] = [word for word in MAGICS[name].words if word.startswith("-")]
    elif before and before[-1].startswith("-"):
        known = _values(verbs, before)
    elif "domain" in MAGICS[name].words:
        known = [] if before else DOMAINS
    elif "ref" not in MAGICS[name].words:
        known = []
    elif not before:
        known = verbs.refs()
    else:
        known = _providers(verbs, before) if name == "swap" and len(before) == 1 else []
    return begun, sorted({word for word in known if word.startswith(begun)})


def _values(verbs: Verbs, before: Sequence[str]) -> list[str]:
    if before[-1] != "--assume":
        return []
    found = _providers(verbs, before)
    return [f"{verb}={provider}" for verb in ("select", "withdraw") for provider in found]


def _providers(verbs: Verbs, before: Sequence[str]) -> list[str]:
    return attempt(lambda: verbs.providers(before[0])).value or []
