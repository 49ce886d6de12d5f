"""Which routes there should be: of the contract, of the application, of the baseline, by name."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from urllib.parse import quote, urlsplit

from oneiric.validation.checks.spec import Status
from oneiric.validation.drift.probe import Prober
from oneiric.validation.drift.question import DriftQuestion, RouteAsked
from oneiric.validation.drift.view import View
from oneiric.validation.openapi import Document, Operation, routes_of
from oneiric.validation.openapi.paths import concreteness, matches, unnamed, variables_of

_MADE_UP: Mapping[str, str] = {
    "number": "1.0",
    "uuid": "00000000-0000-4000-8000-000000000000",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """One route that should be there.

    Args:
        method: the method; empty for any.
        path: its template or path, or an address that is not below production's.
        source: who says so: `asked`, `openapi`, `app` or `baseline`.
        url: where it is asked, with values in its places.
        is_certain: whether those values were named; else nothing may be there for them.
        is_fitting: whether they are of the form that its places take, as far as anybody says.
        needs_auth: whether it lets nobody in without credentials; None where nobody says.
        expected: what it has to answer, where somebody says.
        operation: what the contract says of it.
    """

    method: str
    path: str
    source: str
    url: str = ""
    is_certain: bool = True
    is_fitting: bool = True
    needs_auth: bool | None = None
    expected: tuple[Status, ...] = ()
    operation: Operation | None = None

    @property
    def place(self) -> str:
        """How it is told: method and path."""
        return f"{self.method} {self.path}".strip()

    def documents(self, status: int) -> bool:
        """Tell whether the contract names *status*, or its class."""
        told = self.operation.responses if self.operation is not None else {}
        return str(status) in told or f"{status // 100}XX" in told


async def declared_routes(view: View) -> list[Route]:
    """Return the routes of the contract and of the application; else those of the baseline."""
    contract, table = await view.contract(), await view.table()
    found: dict[tuple[str, str], Route] = {}
    if contract.document is not None:
        for route in _of_document(contract.document, view):
            found[route.method, unnamed(route.path)] = route
    for each in table.routes:
        route = Route(
            method=each.method,
            path=each.path,
            source="app",
            url=view.prober.address(_with_values(each.path, _made_up(each.kinds))),
            is_certain=not each.kinds,
            is_fitting="other" not in each.kinds.values(),
            needs_auth=each.needs_auth,
        )
        found.setdefault((route.method, unnamed(route.path)), route)
    if not found:
        kept = (await view.baseline()).baseline
        for seen in kept.routes if kept is not None else ():
            expected = (seen.status,) if seen.status else ()
            route = Route(method=seen.method, path=seen.path, source="baseline", expected=expected)
            found[route.method, route.path] = route
    return [_filled(route, view.question, view.prober) for route in found.values()]


async def served_routes(view: View) -> list[Route]:
    """Return the routes of the document that production serves, for want of any other."""
    served = await view.served()
    found = _of_document(served.document, view) if served.document is not None else ()
    return [_filled(route, view.question, view.prober) for route in found]


def asked_routes(
    asked: Iterable[RouteAsked], declared: Iterable[Route], question: DriftQuestion, prober: Prober
) -> list[Route]:
    """Return what was asked for by name, with what the contract knows of it."""
    known = _Known(declared)
    found = [
        _completed(route, each, question, prober)
        for each in asked
        for route in _matching(each, known, prober) or [_unknown(each, prober)]
    ]
    return list({(route.method, route.url): route for route in found}.values())


def _of_document(document: Document, view: View) -> Iterable[Route]:
    operations = {(each.method, each.path): each for each in document.operations}
    base = _base(document, view.question.prod_url)
    routes = routes_of(document)
    speaks_of_auth = any(each.required_auth for each in routes)
    for each in routes:
        operation = operations[each.method, each.path]
        yield Route(
            method=each.method,
            path=base + each.path,
            source="openapi",
            url=view.prober.address(base + each.example),
            is_certain=not variables_of(each.path),
            is_fitting=not any(_has_pattern(name, operation, document) for name in each.invented),
            needs_auth=each.required_auth if speaks_of_auth else None,
            operation=operation,
        )


def _base(document: Document, prod_url: str) -> str:
    """Return the base path of the document's first server, unless production's address has it."""
    base = document.bases[0].rstrip("/") if document.bases else ""
    return "" if base and urlsplit(prod_url).path.rstrip("/").endswith(base) else base


def _filled(route: Route, question: DriftQuestion, prober: Prober) -> Route:
    """Return *route* with an address; what the contract has no value for is made up."""
    names = variables_of(route.path)
    is_certain = all(name in question.values for name in names)
    if route.url and not (names and is_certain):
        return route
    return replace(
        route,
        url=prober.address(_with_values(route.path, question.values)),
        is_certain=is_certain,
        is_fitting=is_certain,
    )


def _has_pattern(name: str, operation: Operation, document: Document) -> bool:
    parameter = operation.parameters.get(("path", name))
    return parameter is not None and "pattern" in document.references.table(parameter.schema)


def _made_up(kinds: Mapping[str, str]) -> dict[str, str]:
    return {name: _MADE_UP.get(kind, "1") for name, kind in kinds.items()}


def _with_values(path: str, values: Mapping[str, str]) -> str:
    for name in variables_of(path):
        path = path.replace(f"{{{name}}}", quote(values.get(name, "1"), safe=""))
    return path


class _Known:
    """Routes by their shape, and by how many segments they have."""

    def __init__(self, routes: Iterable[Route]) -> None:
        self._by_shape: dict[str, list[Route]] = defaultdict(list)
        self._by_depth: dict[int, list[Route]] = defaultdict(list)
        for route in routes:
            self._by_shape[unnamed(route.path)].append(route)
            self._by_depth[route.path.count("/")].append(route)

    def at(self, path: str) -> list[Route]:
        """Return the routes of *path*, a template or a concrete one: the most concrete ones."""
        if same := self._by_shape.get(unnamed(path)):
            return same
        found = [each for each in self._by_depth[path.count("/")] if matches(each.path, path)]
        nearest = min((concreteness(each.path) for each in found), default=())
        return [each for each in found if concreteness(each.path) == nearest]


def _matching(asked: RouteAsked, known: _Known, prober: Prober) -> list[Route]:
    path = _local_path(asked.path, prober).partition("?")[0]
    if not path:
        return []
    return [
        route for route in known.at(path) if not asked.method or route.method in (asked.method, "")
    ]


def _local_path(path: str, prober: Prober) -> str:
    """Return the path below production's address, or an empty text for another host."""
    if path.startswith("/"):
        return path
    if not prober.hosts.is_production(path):
        return ""
    base = urlsplit(prober.address("/")).path.rstrip("/")
    parts = urlsplit(path)
    below = parts.path.removeprefix(base)
    if (below == parts.path and base) or below[:1] not in ("", "/"):
        return ""
    return f"{below or '/'}?{parts.query}" if parts.query else below or "/"


def _unknown(asked: RouteAsked, prober: Prober) -> Route:
    path = _local_path(asked.path, prober) or asked.path
    return Route(method=asked.method, path=path, source="asked")


def _completed(route: Route, asked: RouteAsked, question: DriftQuestion, prober: Prober) -> Route:
    path = _local_path(asked.path, prober) or asked.path
    needs_auth = route.needs_auth if asked.auth is None else asked.auth
    if not variables_of(path):
        route = replace(route, url=prober.address(path), is_certain=True, is_fitting=True)
    elif not route.url:
        route = _filled(replace(route, path=path), question, prober)
    return replace(
        route,
        method=asked.method or route.method,
        source="asked" if route.source == "baseline" else route.source,
        needs_auth=needs_auth,
        expected=tuple(asked.expected_status) or route.expected,
    )
