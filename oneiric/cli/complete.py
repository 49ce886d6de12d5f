"""What the shell may offer for arguments and options; silent where nothing can be known."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer
from typer.core import TyperCommand

from oneiric.core.guard import attempt
from oneiric.core.ref import DOMAINS

if TYPE_CHECKING:
    from oneiric.runtime.operator import Operator

_MOST_RUNS = 1_000


class CompletedCommand(TyperCommand):
    """Complete a reference from where bash splits it: at its colon."""

    def shell_complete(self, ctx: Any, incomplete: str) -> Any:
        """Offer what may follow `domain:` on its own, or the command's options."""
        begun = str(ctx.params.get("ref") or "")
        if incomplete == ":":
            begun, incomplete = f"{begun}:", ""
        if not begun.endswith(":"):
            return super().shell_complete(ctx, incomplete)
        (ref,) = (param for param in self.get_params(ctx) if param.name == "ref")
        found = ref.shell_complete(ctx, begun + incomplete)
        for item in found:
            item.value = item.value.removeprefix(begun)
        return found


def joined(words: Iterable[str]) -> list[str]:
    """Return *words* with those put together again that bash split at a colon.

    >>> joined(["swap", "adapter", ":", "cache", "--provider"])
    ['swap', 'adapter:cache', '--provider']
    """
    glued: list[str] = []
    for word in words:
        if glued and (word == ":" or glued[-1].endswith(":")):
            glued[-1] += word
        else:
            glued.append(word)
    return glued


def domains(incomplete: str) -> list[str]:
    """Offer the domains."""
    return [name for name in DOMAINS if name.startswith(incomplete)]


def refs(context: typer.Context, incomplete: str) -> list[str]:
    """Offer references; keys where a domain was given or no reference begins so."""

    def find(operator: Operator) -> list[str]:
        found = [str(ref) for ref in _refs(context, operator)]
        begun = [ref for ref in found if ref.startswith(incomplete)]
        return begun if begun and not context.params.get("domain") else _keys(context, operator)

    return _asked(context, find)


def stored_refs(context: typer.Context, incomplete: str) -> list[str]:
    """Offer what is paused or draining, in place or offer."""

    def find(operator: Operator) -> list[str]:
        stored = [str(ref) for ref in operator.orchestrator.lifecycle.activity.snapshot()]
        return [ref for ref in stored if ref.startswith(incomplete)]

    return _asked(context, find)


def keys(context: typer.Context, incomplete: str) -> list[str]:
    """Offer keys."""
    del incomplete
    return _asked(context, lambda operator: _keys(context, operator))


def providers(context: typer.Context, incomplete: str) -> list[str]:
    """Offer who offers to serve the reference; without one, everybody."""
    del incomplete
    names = {name: context.params.get(name) or "" for name in ("domain", "key")}
    text = context.params.get("ref") or next(iter(context.args), "")  # left over: not parsed

    def find(operator: Operator) -> list[str]:
        named = [operator.ref(text, **names).place] if text or names["key"] else None
        registry = operator.orchestrator.resolver.registry
        places = named or _refs(context, operator)
        return sorted({offer.provider for ref in places for offer in registry.offers(ref)})

    return _asked(context, find)


def runs(context: typer.Context, incomplete: str) -> list[str]:
    """Offer the newest runs."""
    from oneiric.runtime.runs import RunDesk

    def find(operator: Operator) -> list[str]:
        found = RunDesk(operator.orchestrator).list(limit=_MOST_RUNS).records
        return [each.run_id for each in found if each.run_id.startswith(incomplete)]

    return _asked(context, find)


def profiles(context: typer.Context, incomplete: str) -> list[str]:
    """Offer the profiles: the built-in ones, and those of the configuration file."""
    del incomplete
    return _asked(context, lambda operator: list(operator.profiles()))


def _refs(context: typer.Context, operator: Operator) -> list[Any]:
    domain = context.params.get("domain") or ""
    return list(operator.orchestrator.resolver.registry.refs(domain))


def _keys(context: typer.Context, operator: Operator) -> list[str]:
    return sorted({ref.key for ref in _refs(context, operator)})


def _asked(context: typer.Context, find: Callable[[Operator], list[str]]) -> list[str]:
    """Return what *find* finds with the operator that the line so far describes, or nothing.

    A wrong configuration or a broken plugin is told when the command runs, not while it is
    still being written.
    """
    from oneiric.cli.app import Session
    from oneiric.cli.output import composed

    given = context.find_root().params
    config = given.get("config")
    session = Session(
        config=Path(config) if config else None,
        profile=given.get("profile"),
        demo=bool(given.get("demo")),
    )
    with Path(os.devnull).open("w") as nowhere, redirect_stdout(nowhere), redirect_stderr(nowhere):
        return attempt(lambda: find(composed(session))).value or []
