"""What is run: the arguments of a local test, and those of a deployment."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from types import MappingProxyType

from oneiric.errors import InvalidError, unknown
from oneiric.text.redaction import MASK, is_secret_name
from oneiric.validation.models import Deployment
from oneiric.validation.secrets import joined

BUILT_IN: Mapping[str, Sequence[str]] = MappingProxyType(
    {
        "fly": ("fly", "deploy", "--app", "{service}"),
        "vercel": ("vercel", "deploy"),
    }
)
"""Deployment providers that need no configuration."""

_MARKS = frozenset("();<>|&")


def arguments(command: str | Sequence[str]) -> list[str]:
    """Return the program and its arguments; a text is parted as a shell would part it.

    No shell reads it, so what only a shell would do is refused rather than handed on.

    >>> arguments("pytest -k 'a > b'")
    ['pytest', '-k', 'a > b']
    >>> arguments("pnpm test && pnpm lint")
    Traceback (most recent call last):
    oneiric.errors.InvalidError: no shell reads this, so && means nothing

    Raises:
        InvalidError: it names no program, a quotation has no end, or it is for a shell.
    """
    if not isinstance(command, str):
        found = list(command)
    else:
        try:
            command = joined(command)
            found = shlex.split(command)
            marks = [word for word in _words(command) if _MARKS.issuperset(word)]
        except ValueError as error:
            raise InvalidError(f"it cannot be parted: {error}") from None
        if marks:
            hint = "write one test for each command, or a list whose first is sh"
            raise InvalidError(f"no shell reads this, so {marks[0]} means nothing", hint=hint)
    if not found or not found[0]:
        raise InvalidError("it names no program")
    if "=" in found[0]:
        raise InvalidError(f"{found[0].partition('=')[0]} is a variable: give it in env")
    return found


def deployment(asked: Deployment, configured: Mapping[str, Sequence[str]]) -> list[str]:
    """Return the program that deploys, and its arguments.

    `{service}` and `{environment}` in what is configured stand for what the task names.

    >>> deployment(Deployment(provider="vercel"), {})
    ['vercel', 'deploy', '--prod']
    >>> deployment(Deployment(provider="vercell"), {})
    Traceback (most recent call last):
    oneiric.errors.InvalidError: nobody deploys by vercell; did you mean vercel?

    Raises:
        InvalidError: there is no such provider, or it needs a service that is not named.
    """
    known = {**BUILT_IN, **configured}
    if asked.provider not in known:
        hint = "name it under [validation.deployments]"
        raise InvalidError(f"nobody deploys by {unknown(asked.provider, known)}", hint=hint)
    words = list(known[asked.provider])
    if not words:
        raise InvalidError(f"the deployment provider {asked.provider} names no program")
    if not asked.service and any("{service}" in word for word in words):
        raise InvalidError(f"{asked.provider} needs to know which service it deploys")
    if asked.provider not in configured and asked.provider == "vercel":
        words += ["--prod"] if asked.environment == "production" else []
    said = {"{service}": asked.service, "{environment}": asked.environment}
    for mark, value in said.items():
        words = [word.replace(mark, value) for word in words]
    return words


def shown(args: Sequence[str]) -> list[str]:
    """Return arguments as they may be shown: what follows an option for a secret is masked.

    >>> shown(["login", "--password", "hunter2"])
    ['login', '--password', '**********']
    """
    pairs = zip(args, ["", *args], strict=False)
    return [MASK if _hides(before) and not word.startswith("-") else word for word, before in pairs]


def _hides(option: str) -> bool:
    return option.startswith("-") and "=" not in option and is_secret_name(option)


def _words(command: str) -> list[str]:
    """Return words with their quotes, so that what is quoted is not taken for a mark."""
    lexer = shlex.shlex(command, posix=False, punctuation_chars=True)
    lexer.commenters = ""
    return list(lexer)
