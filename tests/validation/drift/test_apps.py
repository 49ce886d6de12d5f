"""Route tables of applications, read in a process of their own."""

import sys
import textwrap
from collections.abc import Mapping
from pathlib import Path

import pytest
from aiohttp import web

from oneiric.adapters.executors.process import ProcessExecutor
from oneiric.validation.drift.apps import RouteTable, TableRoute, read_route_table
from oneiric.validation.drift.question import AppAsked
from tests.validation.drift.service import (
    ONLY_ROUTES,
    Service,
    codes,
    detecting,
    serving,
    unsure,
)

AIOHTTP = """
from aiohttp import web
print("noise on stdout")
routes = web.RouteTableDef()
@routes.get("/users")
async def users(request): ...
@routes.post("/users")
async def make(request): ...
@routes.view("/files/{name:.+}")
class Files(web.View):
    async def get(self): ...
    async def delete(self): ...
def create():
    app = web.Application()
    app.add_routes(routes)
    inner = web.Application()
    inner.router.add_get("/ping", users)
    app.add_subapp("/inner", inner)
    return app
async def create_later():
    return create()
"""

FASTAPI = """
from fastapi import APIRouter, Depends, FastAPI
from fastapi.security import HTTPBearer
app = FastAPI()
@app.get("/users")
def users(): ...
@app.post("/users")
def make(): ...
router = APIRouter(prefix="/api")
@router.get("/users/{user_id}", dependencies=[Depends(HTTPBearer())])
def one(user_id: int): ...
@router.get("/files/{path:path}")
def file(path: str): ...
app.include_router(router)
inner = FastAPI()
@inner.get("/ping")
def ping(): ...
app.mount("/inner", inner)
"""

FLASK = """
from flask import Blueprint, Flask
app = Flask(__name__)
@app.route("/users", methods=["GET", "POST"])
def users(): ...
@app.delete("/users/<int:user_id>")
def gone(user_id): ...
blueprint = Blueprint("inner", __name__, url_prefix="/inner")
@blueprint.get("/ping/<name>")
def ping(name): ...
app.register_blueprint(blueprint)
"""

DJANGO = """
from django.conf import settings
settings.configure(ROOT_URLCONF=__name__, SECRET_KEY="x", ALLOWED_HOSTS=["*"])
import django
django.setup()
from django.core.wsgi import get_wsgi_application
from django.urls import include, path, re_path
from django.views import View
from django.views.decorators.http import require_http_methods
@require_http_methods(["POST"])
def login(request): ...
def page(request): ...
class Users(View):
    def get(self, request): ...
    def delete(self, request): ...
urlpatterns = [
    path("login", login),
    path("users/<int:pk>/", Users.as_view()),
    path("inner/", include([path("page", page)])),
    re_path(r"^old/(?P<year>[0-9]{4})/$", page),
    re_path(r"^strange/(a|b)$", page),
]
application = get_wsgi_application()
"""

EXPECTED: Mapping[str, set[tuple[str, str, bool | None]]] = {
    "aiohttp": {
        ("GET", "/users", None),
        ("POST", "/users", None),
        ("GET", "/files/{name}", None),
        ("DELETE", "/files/{name}", None),
        ("GET", "/inner/ping", None),
    },
    "starlette": {
        ("GET", "/users", None),
        ("POST", "/users", None),
        ("GET", "/api/users/{user_id}", True),
        ("GET", "/api/files/{path}", None),
        ("GET", "/inner/ping", None),
    },
    "flask": {
        ("GET", "/users", None),
        ("POST", "/users", None),
        ("DELETE", "/users/{user_id}", None),
        ("GET", "/inner/ping/{name}", None),
    },
    "django": {
        ("POST", "/login", None),
        ("GET", "/users/{pk}/", None),
        ("DELETE", "/users/{pk}/", None),
        ("", "/inner/page", None),
        ("", "/old/{year}/", None),
    },
}


KINDS: Mapping[str, Mapping[str, str]] = {
    "aiohttp": {"name": "text"},
    "starlette": {"user_id": "text", "path": "text"},
    "flask": {"user_id": "integer", "name": "text"},
    "django": {"pk": "integer", "year": "other"},
}


async def _table(folder: Path, source: str, target: str, **asked: object) -> RouteTable:
    (folder / "service.py").write_text(textwrap.dedent(source))
    executor = ProcessExecutor()
    await executor.init()
    try:
        app = AppAsked.model_validate({"target": target, **asked})
        return await read_route_table(app, folder, executor)
    finally:
        await executor.cleanup()


@pytest.mark.parametrize(
    ("kind", "library", "source", "target"),
    [
        ("aiohttp", "aiohttp", AIOHTTP, "service:create"),
        ("aiohttp", "aiohttp", AIOHTTP, "service:create_later"),
        ("starlette", "fastapi", FASTAPI, "service:app"),
        ("flask", "flask", FLASK, "service:app"),
        ("django", "django", DJANGO, "service:application"),
        ("django", "django", DJANGO, "service:urlpatterns"),
    ],
)
async def test_each_framework_tells_its_routes(
    kind: str, library: str, source: str, target: str, tmp_path: Path
) -> None:
    """Methods as they were registered, places in braces, routers within routers."""
    pytest.importorskip(library)
    table = await _table(tmp_path, source, target)
    assert (table.problem, table.kind) == ("", kind)
    assert set(table.routes) == {TableRoute(*each) for each in EXPECTED[kind]}
    kinds = {name: told for each in table.routes for name, told in each.kinds.items()}
    assert kinds == KINDS[kind]
    assert "service" not in sys.modules


async def test_what_cannot_be_told_of_django_is_named(tmp_path: Path) -> None:
    """A pattern that is no plain path is left out, and said to be."""
    pytest.importorskip("django")
    table = await _table(tmp_path, DJANGO, "service:application")
    assert table.left_out == ("/^strange/(a|b)$",)


@pytest.mark.parametrize(
    ("source", "told"),
    [
        ("app = 1", "int is no application"),
        ("raise RuntimeError('broken at import')", "RuntimeError: broken at import"),
        ("import time; time.sleep(60)", "took too long"),
        ("import sys; sys.exit(0)", "gave no table"),
        ("other = 1", "AttributeError"),
    ],
)
async def test_an_application_that_cannot_be_loaded_says_why(
    source: str, told: str, tmp_path: Path
) -> None:
    """Whatever it does happens in a process of its own, within its time."""
    limit = 0.5 if "sleep" in source else 30.0
    table = await _table(tmp_path, source, "service:app", timeout=limit)
    assert table.routes == ()
    assert told in table.problem


async def test_an_application_finds_no_module_of_ours_before_its_own_libraries(
    tmp_path: Path,
) -> None:
    """The folder of the program that loads it is not on its path."""
    source = "import baseline\n"
    table = await _table(tmp_path, source, "service:app")
    assert "No module named 'baseline'" in table.problem


async def test_routes_of_an_application_are_compared_with_production(tmp_path: Path) -> None:
    """What the application registers and production lacks is told; its variables are masked."""
    (tmp_path / "service.py").write_text(
        "import os\nfrom aiohttp import web\nassert os.environ['TOKEN'] == 's3cr3t-word'\n"
        "async def do(request): ...\n"
        "app = web.Application()\n"
        "app.add_routes([web.get('/users', do), web.post('/users', do), web.get('/new', do),"
        " web.patch('/users/{id}', do)])\n"
    )
    app = {"target": "service:app", "env": {"TOKEN": "s3cr3t-word"}}
    async with serving(Service()) as service, detecting(tmp_path) as detect:
        report = await detect(service.url, app=app)
    assert codes(report) == [
        ("route-missing", "GET /new"),
        ("route-method-missing", "PATCH /users/{id}"),
    ]
    assert report.checked["route"] == 4


async def test_a_place_that_takes_not_every_value_is_no_drift(tmp_path: Path) -> None:
    """404 for a made-up value proves nothing where the route would not take it."""
    (tmp_path / "service.py").write_text(
        "from aiohttp import web\n"
        "async def do(request): return web.Response()\n"
        "app = web.Application()\n"
        "app.add_routes([web.get('/items/{code:[A-Z]{3}}', do),"
        " web.delete('/items/{code:[A-Z]{3}}', do)])\n"
    )

    async def item(_: web.Request) -> web.Response:
        return web.Response()

    service = Service()
    service.contract = None
    service.routes["GET", "/items/{code:[A-Z]{3}}"] = item
    service.routes["DELETE", "/items/{code:[A-Z]{3}}"] = item
    async with serving(service), detecting(tmp_path) as detect:
        asked = {"app": "service:app", "checks": ONLY_ROUTES}
        vague = await detect(service.url, **asked)
        exact = await detect(service.url, values={"code": "ABC"}, **asked)
        del service.routes["DELETE", "/items/{code:[A-Z]{3}}"]
        await service.start()
        broken = await detect(service.url, values={"code": "ABC"}, **asked)
    assert codes(vague) == []
    assert set(unsure(vague)) == {("route", "GET /items/{code}"), ("route", "DELETE /items/{code}")}
    assert (codes(exact), exact.checked) == ([], {"route": 2})
    assert codes(broken) == [("route-method-missing", "DELETE /items/{code}")]


async def test_an_application_that_fails_is_unchecked(tmp_path: Path) -> None:
    """It was asked for by name, so its failure is no pass; no secret of its environment is told."""
    (tmp_path / "service.py").write_text("import os\nraise ValueError(os.environ['TOKEN'])\n")
    app = {"target": "service:app", "env": {"TOKEN": "s3cr3t-word"}}
    async with serving(Service()) as service, detecting(tmp_path) as detect:
        report = await detect(service.url, app=app, routes=["/users"])
    assert unsure(report) == [("route", "app")]
    assert "ValueError" in report.unchecked[0].reason
    assert "s3cr3t" not in str(report.as_json())
