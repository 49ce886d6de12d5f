"""The child's side of reading an application's routes; run as a program, by any Python.

It needs nothing but the standard library and the application: `route_table.py TARGET FOLDER`.
What is printed while the application is loaded goes to stderr; the answer is one line of JSON,
`{"kind", "routes": [{"method", "path", "auth", "kinds"}], "left_out"}` or `{"error"}`. Methods are
the ones that were registered: not HEAD beside GET, nor OPTIONS, which frameworks add. Kinds tell
what fits the places of a path: `text`, `integer`, `number`, `uuid`, or `other` for nobody knows.
"""

import asyncio
import contextlib
import importlib
import inspect
import json
import os
import re
import sys
from collections.abc import Iterable, Iterator
from typing import Any

Routes = Iterator[tuple[str, str, "bool | None"]]

_PLACE = re.compile(r"\{([^{}:]+)(?::([^{}]*))?\}")
_ANGLES = re.compile(r"<(?:([^<>:]+):)?([^<>]+)>")
_GROUP = re.compile(r"\(\?P<(\w+)>((?:[^()\\]|\\.)*)\)")
_KINDS = (
    ("text", ("", "default", "path", "slug", "str", "string")),
    ("integer", ("int",)),
    ("number", ("float",)),
    ("uuid", ("uuid",)),
)
_ADDED = frozenset({"HEAD", "OPTIONS"})
_METHODS = ("get", "post", "put", "patch", "delete", "head", "options", "trace")


def routes_of(app: Any) -> dict[str, Any] | None:
    """Return which framework *app* is of, its routes, and those that nobody could tell."""
    for is_one, kind, read in (
        (_is_aiohttp, "aiohttp", _aiohttp),
        (_is_starlette, "starlette", _starlette),
        (_is_flask, "flask", _flask),
        (_is_django, "django", _django),
    ):
        if is_one(app):
            left_out: list[str] = []
            found: dict[tuple[str, str], bool | None] = {}
            for method, path, auth in read(app, left_out):
                found.setdefault((path, method), auth)
            for path, method in [*found]:
                if method == "HEAD" and (path, "GET") in found:  # some are added by frameworks
                    del found[path, method]
            routes = [
                {
                    "method": method,
                    "path": _PLACE.sub(r"{\1}", path),
                    "auth": auth,
                    "kinds": dict(_PLACE.findall(path)),
                }
                for (path, method), auth in sorted(found.items())
            ]
            return {"kind": kind, "routes": routes, "left_out": sorted(set(left_out))}
    return None


def _is_aiohttp(app: Any) -> bool:
    return any(_is_a(app, "aiohttp.web", name) for name in ("Application", "RouteTableDef"))


def _aiohttp(app: Any, left_out: list[str], prefix: str = "") -> Routes:
    if not hasattr(app, "router"):
        web = sys.modules["aiohttp.web"]
        made = web.Application()
        made.add_routes(app)
        app = made
    for route in app.router.routes():
        resource = route.resource
        if resource is None or type(resource).__name__ == "StaticResource":
            left_out.append(f"static files {getattr(resource, 'canonical', '')}".strip())
            continue
        pattern = resource.get_info().get("pattern")
        fits = pattern is None or pattern.fullmatch(_PLACE.sub("1", resource.canonical))
        kind = "text" if fits else "other"
        path = prefix + _PLACE.sub(rf"{{\1:{kind}}}", resource.canonical)
        if route.method == "*":
            view = route.handler
            methods = [each.upper() for each in _METHODS if hasattr(view, each)]
            if not isinstance(view, type) or not methods:
                methods = [""]
        else:
            methods = [route.method]
        for method in _registered(methods):
            yield method, path, None


def _is_starlette(app: Any) -> bool:
    return _is_a(app, "starlette.applications", "Starlette") or _is_a(
        app, "starlette.routing", "Router"
    )


def _starlette(app: Any, left_out: list[str], prefix: str = "") -> Routes:
    own = {getattr(app, name, None) for name in ("openapi_url", "docs_url", "redoc_url")}
    own.add(getattr(app, "swagger_ui_oauth2_redirect_url", None))
    flat = _named("fastapi.routing", "iter_route_contexts")  # newer ones keep routers apart
    for route in flat(app.routes) if flat else app.routes:
        plain = getattr(route, "route", route)
        path = getattr(route, "path", None) or ""
        inner = getattr(plain, "app", None)
        if getattr(route, "methods", None):
            if path not in own:
                for method in _registered(route.methods):
                    needs = _needs_security(getattr(route, "dependant", None)) or None
                    yield method, prefix + _with_kinds(path), needs
        elif hasattr(inner, "routes") and type(plain).__name__ == "Mount":
            yield from _starlette(inner, left_out, prefix + _with_kinds(path))
        else:
            left_out.append(f"{type(plain).__name__} {prefix}{path}".strip())


def _needs_security(dependant: Any) -> bool:
    """Tell whether one of what a route depends on lets nobody in without credentials."""
    if dependant is None:
        return False
    call = getattr(dependant, "call", None)
    if _is_a(call, "fastapi.security.base", "SecurityBase") and getattr(call, "auto_error", True):
        return True
    return any(_needs_security(each) for each in getattr(dependant, "dependencies", ()))


def _is_flask(app: Any) -> bool:
    return _is_a(app, "flask", "Flask")


def _flask(app: Any, left_out: list[str]) -> Routes:
    for rule in app.url_map.iter_rules():
        if rule.endpoint == "static" or rule.endpoint.endswith(".static"):
            left_out.append(f"static files {rule.rule}")
            continue
        for method in _registered(rule.methods or {"GET"}):
            yield method, _ANGLES.sub(_in_braces, rule.rule), None


def _is_django(app: Any) -> bool:
    if _is_a(app, "django.core.handlers.base", "BaseHandler"):
        return True
    resolver = (
        _named("django.urls.resolvers", "URLPattern"),
        _named("django.urls.resolvers", "URLResolver"),
    )
    kinds = tuple(each for each in resolver if each)
    return bool(kinds and isinstance(app, list | tuple)) and all(
        isinstance(each, kinds) for each in app
    )


def _django(app: Any, left_out: list[str]) -> Routes:
    patterns = app
    if not isinstance(app, list | tuple):
        patterns = sys.modules["django.urls"].get_resolver().url_patterns
    yield from _django_patterns(patterns, left_out, "/")


def _django_patterns(patterns: Any, left_out: list[str], prefix: str) -> Routes:
    for pattern in patterns:
        path = _django_path(pattern.pattern)
        if path is None:
            left_out.append(f"{prefix}{pattern.pattern}")
        elif hasattr(pattern, "url_patterns"):
            yield from _django_patterns(pattern.url_patterns, left_out, prefix + path)
        else:
            for method in _registered(_django_methods(pattern.callback)):
                yield method, prefix + path, None


def _django_path(pattern: Any) -> str | None:
    """Return a pattern with `{name}` for its places, or None for one that cannot be said so."""
    text = str(pattern)
    if type(pattern).__name__ == "RoutePattern":
        return _ANGLES.sub(_in_braces, text)
    text = _GROUP.sub(_of_group, text.removeprefix("^"))
    text = text.removesuffix("$").replace("\\-", "-").replace("\\.", ".")
    return None if re.search(r"[\^$*+?()|\[\]\\]", text) else text


def _in_braces(found: re.Match[str]) -> str:
    return f"{{{found[2]}:{_kind(found[1])}}}"


def _of_group(found: re.Match[str]) -> str:
    return f"{{{found[1]}:{'text' if re.fullmatch(found[2], '1') else 'other'}}}"


def _kind(converter: str | None) -> str:
    return next((kind for kind, names in _KINDS if (converter or "") in names), "other")


def _django_methods(view: Any) -> list[str]:
    of_class = getattr(view, "view_class", None) or getattr(view, "cls", None)
    actions = getattr(view, "actions", None)
    if isinstance(actions, dict):
        return [each.upper() for each in actions]
    if of_class is not None:
        names = [each for each in of_class.http_method_names if hasattr(of_class, each)]
        return [each.upper() for each in names]
    while view is not None:
        for cell in getattr(view, "__closure__", None) or ():
            with contextlib.suppress(ValueError):
                held = cell.cell_contents
                words = held if isinstance(held, list | tuple | set | frozenset) else ()
                if words and all(str(each).lower() in _METHODS for each in words):
                    return [str(each) for each in words]
        view = getattr(view, "__wrapped__", None)
    return [""]


def _registered(methods: Iterable[str]) -> list[str]:
    """Return the methods without those that a framework adds by itself."""
    chosen = {each.upper() for each in methods if each != "*"} or {""}
    return sorted(chosen - _ADDED) or sorted(chosen)


def _with_kinds(path: str) -> str:
    return _PLACE.sub(lambda found: f"{{{found[1]}:{_kind(found[2])}}}", path)


def _named(module: str, name: str) -> Any:
    return getattr(sys.modules.get(module), name, None)


def _is_a(app: Any, module: str, name: str) -> bool:
    kind = _named(module, name)
    return kind is not None and isinstance(app, kind)


def _answer(target: str, folder: str) -> dict[str, Any]:
    os.chdir(folder)
    sys.path[0] = folder  # in place of our own, whose modules must not stand before others
    module, _, attribute = target.partition(":")
    app = getattr(importlib.import_module(module), attribute)
    told = routes_of(app)
    if told is None and callable(app):
        app = app()
        app = asyncio.run(app) if inspect.iscoroutine(app) else app
        told = routes_of(app)
    return told or {"error": f"{type(app).__name__} is no application of a framework known here"}


def main() -> None:
    """Load what the arguments name, and answer; whatever the application raises is not caught."""
    answer = os.dup(1)
    os.dup2(2, 1)  # what the application prints must not be taken for the answer
    target, folder = sys.argv[1:3]
    told = _answer(target, folder)
    with os.fdopen(answer, "w", encoding="utf-8") as file:
        file.write(json.dumps(told) + "\n")
    os._exit(0)  # an application may have started threads that never end


if __name__ == "__main__":
    main()
