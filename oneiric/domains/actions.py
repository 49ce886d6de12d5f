"""Actions: components that take a payload and give a result, and the way to run one."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from inspect import getdoc
from typing import TYPE_CHECKING, Any, Protocol

from pydantic import BaseModel, ValidationError

from oneiric.core.guard import Outcome, attempt
from oneiric.documents import json_value
from oneiric.documents.model import validate_settings
from oneiric.domains.bridge import DomainBridge
from oneiric.errors import (
    ComponentError,
    ConfigError,
    DocumentError,
    InvalidError,
    JSONValue,
    OneiricError,
    Problem,
    UnavailableError,
)
from oneiric.targets import load

if TYPE_CHECKING:
    from oneiric.core.candidate import Candidate
    from oneiric.core.ref import ComponentRef

LIMIT = 60.0
"""Seconds that an action may take unless its caller says otherwise."""


class Action(Protocol):
    """Take a payload, give a result; `execute` may be sync or async.

    A class may name two pydantic models, `payload` and `result`. With a `payload` model
    `execute` receives an instance of it, else the plain JSON value; what it returns must be
    JSON, or an instance of the `result` model, or fit it.
    """

    def execute(self, payload: Any) -> object:
        """Do it, and return the result or an awaitable of it."""
        ...


class InvalidPayloadError(InvalidError):
    """A payload that an action cannot take: all problems at once, no value repeated."""

    code = "invalid-payload"

    def __init__(self, problems: Sequence[Problem], *, hint: str = "") -> None:
        super().__init__("the payload is wrong", hint=hint)
        self.problems = tuple(problems)

    @classmethod
    def of(cls, problems: Iterable[tuple[str, str]], *, hint: str = "") -> InvalidPayloadError:
        """Return the error for pairs of a dotted path below the payload, and what is wrong.

        >>> print(InvalidPayloadError.of([("mode", "it is required")]))
        the payload is wrong
          payload.mode: it is required
        """
        return cls(
            [Problem(".".join(filter(None, ("payload", key))), what, "") for key, what in problems],
            hint=hint,
        )

    def details(self) -> Mapping[str, JSONValue]:
        return {"problems": [{"key": each.key, "what": each.what} for each in self.problems]}

    def lines(self) -> Sequence[str]:
        return [f"{each.key}: {each.what}" for each in self.problems]


@dataclass(frozen=True, slots=True)
class ActionDescription:
    """What an action takes and gives; a schema is None where its author wrote no model."""

    candidate: Candidate
    summary: str
    payload: type[BaseModel] | None
    result: type[BaseModel] | None

    def as_json(self) -> dict[str, JSONValue]:
        """Return `oneiric.action/1`, with the JSON Schemas of payload and result."""
        payload = self.payload.model_json_schema() if self.payload else None
        result = self.result.model_json_schema(mode="serialization") if self.result else None
        return {
            "schema": "oneiric.action/1",
            "ref": str(self.candidate.ref),
            "provider": self.candidate.provider,
            "summary": self.summary,
            "capabilities": sorted(self.candidate.capabilities),
            "payload": payload,
            "result": result,
        }


class ActionBridge(DomainBridge):
    """Describe and execute actions by their keys."""

    __slots__ = ()

    def describe(self, key: str, *, provider: str = "") -> ActionDescription:
        """Tell what *key* takes and gives, without bringing anything up.

        The models are those that the factory names, as a class does; a factory that is a
        function and names none has no schemas here.

        Raises:
            NoCandidateError, UnknownSelectionError: nobody may serve it.
            ComponentError: its factory cannot be imported.
            ForbiddenFactoryError: its factory may not be.
        """
        candidate = self.lifecycle.resolver.resolve(self.ref(key), provider=provider)
        target, allowed = candidate.factory, self.lifecycle.builder.allowed
        factory: object = target
        if isinstance(target, str):
            outcome = attempt(partial(load, target, allowed))
            if isinstance(outcome.error, OneiricError):
                raise outcome.error
            if outcome.error is not None:
                raise _failed(candidate, "create", outcome.reason) from outcome.error
            factory = outcome.value
        summary = (getdoc(factory) or "").partition("\n\n")[0]
        payload, result = _model(factory, "payload"), _model(factory, "result")
        return ActionDescription(candidate, " ".join(summary.split()), payload, result)

    async def execute(
        self, key: str, payload: JSONValue, *, provider: str = "", limit: float = LIMIT
    ) -> JSONValue:
        """Run an action and return its result, plain JSON.

        The component is held meanwhile, so that no swap ends it; sync code of an offer that
        is `blocking` runs in a thread.

        Args:
            key: the action; `key@provider` names one offer.
            payload: a JSON value; checked by the action's model where it has one.
            provider: the provider to ask for.
            limit: seconds that it may take.

        Raises:
            InvalidPayloadError: the payload is not what the action takes; every problem.
            ComponentError: the action failed, or gave what is no JSON or not what it says.
            UnavailableError: it took longer than *limit*.
            OneiricError: what the action raised on purpose.
        """
        handle = self.use(key, provider=provider)
        async with handle as action:
            candidate = handle.candidate
            assert candidate is not None
            return await self.perform(action, candidate, payload, limit=limit)

    async def perform(
        self, action: object, candidate: Candidate, payload: JSONValue, *, limit: float = math.inf
    ) -> JSONValue:
        """Run an action that the caller holds; `execute` tells what is checked and raised."""
        execute = getattr(action, "execute", None)
        if not callable(execute):
            raise _failed(candidate, "execute", "it has no method execute")
        taken = _taken(payload, _model(action, "payload"), candidate)
        outcome = await self.lifecycle.builder.guard.call(
            partial(execute, taken), limit=limit, blocking=candidate.blocking
        )
        if outcome.timed_out:
            raise UnavailableError(f"{candidate.offer} {outcome.reason}")
        if isinstance(outcome.error, OneiricError):
            raise outcome.error
        if outcome.error is not None:
            raise _failed(candidate, "execute", outcome.reason) from outcome.error
        return _given(outcome.value, _model(action, "result"), candidate)


def _model(owner: object, name: str) -> type[BaseModel] | None:
    found = getattr(owner, name, None)
    return found if isinstance(found, type) and issubclass(found, BaseModel) else None


def _taken(payload: JSONValue, model: type[BaseModel] | None, candidate: Candidate) -> object:
    try:
        plain = json_value(payload)
    except DocumentError as error:
        raise InvalidPayloadError.of([(error.path, error.problem)]) from None
    if model is None:
        return plain
    if not isinstance(plain, dict):
        raise InvalidPayloadError.of([("", "it must be an object")])
    check = partial(validate_settings, model, plain, key="payload", origin_of=str)
    outcome: Outcome[BaseModel] = attempt(check)
    if isinstance(outcome.error, ConfigError):
        raise InvalidPayloadError(outcome.error.problems) from None
    if outcome.error is not None:
        raise _failed(candidate, "payload", outcome.reason) from outcome.error
    return outcome.value


def _given(value: object, model: type[BaseModel] | None, candidate: Candidate) -> JSONValue:
    outcome = attempt(partial(_plain, value, model))
    match outcome.error:
        case None:
            return outcome.value
        case DocumentError(path=path, problem=problem):
            reason = f"{'.'.join(filter(None, ('result', path)))}: {problem}"
        case ValidationError() as error:
            faults = error.errors(include_url=False, include_context=False, include_input=False)
            told = [(".".join(map(str, ("result", *each["loc"]))), each["msg"]) for each in faults]
            reason = "; ".join(f"{path}: {what}" for path, what in told)
        case _:
            reason = outcome.reason
    raise _failed(candidate, "result", reason) from None


def _plain(value: object, model: type[BaseModel] | None) -> JSONValue:
    if model is not None and not isinstance(value, BaseModel):
        value = model.model_validate(value)
    if isinstance(value, BaseModel):
        value = value.model_dump(mode="json", by_alias=True)
    return json_value(value)


def _failed(candidate: Candidate, phase: str, reason: str) -> ComponentError:
    ref: ComponentRef[Any] = candidate.ref
    return ComponentError(ref, candidate.provider, phase, reason)
