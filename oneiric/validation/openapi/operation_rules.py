"""How two operations differ in what they take and what they answer."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from oneiric.validation.openapi.changes import Found, Use
from oneiric.validation.openapi.operations import Body, Operation, Parameter, Response, Schema
from oneiric.validation.openapi.paths import variables_of
from oneiric.validation.openapi.schema_rules import between
from oneiric.validation.openapi.schemas import SchemaPairs

_Parameters = Mapping[tuple[str, str], Parameter]


def operation_changes(
    old: Operation, new: Operation, pairs: SchemaPairs
) -> tuple[list[Found], list[Use]]:
    """Return how parameters, body and answers differ, and which schemas are to be compared.

    Where the service is the one who asks, what it sends is told as its answers are, and what it is
    answered as requests are.
    """
    comparison = _Comparison(old, new, pairs)
    found = [*comparison.parameters(), *comparison.body(), *comparison.responses()]
    return found, comparison.uses


class _Comparison:
    def __init__(self, old: Operation, new: Operation, pairs: SchemaPairs) -> None:
        self._old = old
        self._new = new
        self._pairs = pairs
        self.uses: list[Use] = []

    def parameters(self) -> Iterator[Found]:
        old, new = _positioned(self._old), _positioned(self._new)
        if self._old.of:
            yield from self._given(old, new, self._old.name)
        else:
            yield from self._taken(old, new, self._old.name)

    def _taken(self, old: _Parameters, new: _Parameters, where: str) -> Iterator[Found]:
        """Yield how parameters differ that the service is given."""
        names = {key: each.name for key, each in {**new, **old}.items()}
        for key in sorted(old.keys() | new.keys()):
            place = f"{where} {key[0]} {names[key]}"
            before, after = old.get(key), new.get(key)
            if before is None and after is not None:
                yield Found(f"request-{_added(after)}", place)
            elif before is not None and after is None:
                yield Found("request-parameter-removed", place)
            elif before is not None and after is not None:
                yield from _parameter(before, after, place)
                self._use(before.schema, after.schema, "request", place)

    def _given(self, old: _Parameters, new: _Parameters, where: str) -> Iterator[Found]:
        """Yield how headers and other parameters differ that the service gives."""
        for key in sorted(old.keys() | new.keys()):
            place = f"{where} {key[0]} {key[1]}"
            kind = "header" if key[0] == "header" else "property"
            before, after = old.get(key), new.get(key)
            if before is None:
                yield Found(f"response-{kind}-added", place)
            elif after is None:
                word = "required" if before.required else "optional"
                yield Found(f"response-{word}-{kind}-removed", place)
            else:
                if before.required != after.required:
                    word = "required" if after.required else "optional"
                    yield Found(f"response-{kind}-became-{word}", place)
                self._use(before.schema, after.schema, "response", place)

    def body(self) -> Iterator[Found]:
        place = f"{self._old.name} request"
        old, new = self._old.body, self._new.body
        if self._old.of:
            yield from self._content(_content(old), _content(new), "response", place)
            if old is not None and new is not None and old.required != new.required:
                word = "required" if new.required else "optional"
                yield Found(f"response-property-became-{word}", place)
            return
        if old is None and new is None:
            return
        if old is None or new is None:
            yield Found(f"request-{_body_came_or_went(new)}", place)
            return
        if old.required != new.required:
            word = "required" if new.required else "optional"
            yield Found(f"request-body-became-{word}", place)
        yield from self._content(old.content, new.content, "request", place)

    def responses(self) -> Iterator[Found]:
        old, new = self._old.responses, self._new.responses
        for status in sorted(old.keys() | new.keys()):
            place = f"{self._old.name} {status}"
            before, after = old.get(status), new.get(status)
            word = "success" if status.startswith("2") else "failure"
            if before is None:
                if _covering(old, status) is None:
                    yield Found(f"response-{word}-status-added", place)
                continue
            after = after or _covering(new, status)
            if after is None:
                yield Found(f"response-{word}-status-removed", place)
            else:
                side = "request" if self._old.of else "response"
                changes = self._taken if self._old.of else self._given
                yield from changes(_headers(before), _headers(after), place)
                yield from self._content(before.content, after.content, side, place)

    def _content(
        self, old: Mapping[str, Schema], new: Mapping[str, Schema], side: str, place: str
    ) -> Iterator[Found]:
        for kind in sorted(old.keys() | new.keys()):
            where = f"{place} {kind}"
            if kind not in old:
                if not _ranges(old, kind):
                    yield Found(f"{side}-media-type-added", where)
                continue
            others = [kind] if kind in new else _ranges(new, kind)
            if not others:
                yield Found(f"{side}-media-type-removed", where)
                continue
            before, after = old[kind], new[others[0]]
            if side == "response" and before not in (None, {}, True) and after in (None, {}, True):
                yield Found("response-schema-removed", where)
            else:
                self._use(before, after, side, where)

    def _use(self, old: Schema, new: Schema, side: str, place: str) -> None:
        self.uses.append(Use(self._pairs.add(old, new, side), side, place))


def _content(body: Body | None) -> Mapping[str, Schema]:
    return {} if body is None else body.content


def _headers(response: Response) -> _Parameters:
    return {("header", name): each for name, each in response.headers.items()}


def _positioned(operation: Operation) -> _Parameters:
    """Return the parameters by place and name, those of the path by their position."""
    if operation.of:
        return operation.parameters
    positions = {name: str(index) for index, name in enumerate(variables_of(operation.path))}
    found: dict[tuple[str, str], Parameter] = {
        ("path", index): Parameter(name, "path", required=True) for name, index in positions.items()
    }
    for (where, name), each in operation.parameters.items():
        found[where, positions.get(name, name) if where == "path" else name] = each
    return found


def _added(parameter: Parameter) -> str:
    if parameter.where == "path":
        return "path-parameter-added"
    return "required-parameter-added" if parameter.required else "optional-parameter-added"


def _parameter(old: Parameter, new: Parameter, place: str) -> Iterator[Found]:
    if old.required != new.required:
        word = "required" if new.required else "optional"
        yield Found(f"request-parameter-became-{word}", place)
    if (old.style, old.explode) != (new.style, new.explode):
        facts = between(_style(old), _style(new))
        yield Found("request-parameter-style-changed", place, facts)
    if old.deprecated != new.deprecated:
        word = "deprecated" if new.deprecated else "reactivated"
        yield Found(f"request-parameter-{word}", place)


def _style(parameter: Parameter) -> str:
    return f"{parameter.style}{', exploded' if parameter.explode else ''}"


def _body_came_or_went(new: Body | None) -> str:
    if new is None:
        return "body-removed"
    return "required-body-added" if new.required else "optional-body-added"


def _covering(responses: Mapping[str, Response], status: str) -> Response | None:
    """Return what else stands for *status*: its range, or for a failure the default."""
    by_range = responses.get(f"{status[0]}XX")
    if by_range is not None or status.startswith("2") or status == "default":
        return by_range
    return responses.get("default")


def _ranges(content: Mapping[str, Schema], kind: str) -> list[str]:
    """Return the ranges of media types, such as `application/*`, that *kind* falls into."""
    wanted = (f"{kind.partition('/')[0]}/*", "*/*")
    return [each for each in wanted if each in content and each != kind]
