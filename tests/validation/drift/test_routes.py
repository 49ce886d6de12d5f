"""Routes: what should be there, against what production answers."""

import asyncio
from pathlib import Path

import pytest
from aiohttp import web

from oneiric.ports.drift import Severity
from oneiric.validation.drift.nowhere import NOWHERE
from oneiric.validation.drift.question import DriftQuestion
from tests.validation.drift.service import (
    CONTRACT,
    ONLY_ROUTES,
    Service,
    codes,
    detecting,
    for_ever,
    keep_contract,
    serving,
    unsure,
)


async def test_a_service_as_it_was_meant_has_no_drift(tmp_path: Path) -> None:
    """Every route of the contract is compared, none is told, and nothing is left open."""
    keep_contract(tmp_path)
    async with serving() as service, detecting(tmp_path) as detect:
        report = await detect(service.url)
    assert (codes(report), unsure(report), str(report.outcome)) == ([], [], "pass")
    assert report.checked == {"route": 5, "openapi": 5, "health": 1}


async def test_defect_validation_f5_no_route_is_asked_by_a_method_that_it_is_not_for(
    tmp_path: Path,
) -> None:
    """What might do something is judged by OPTIONS; neither it nor GET in its stead is sent."""
    keep_contract(tmp_path)
    service = Service()
    service.routes["POST", "/login"] = service.routes["POST", "/users"]
    async with serving(service), detecting(tmp_path) as detect:
        report = await detect(service.url, routes=["POST /login", "DELETE /users/1"])
    assert {method for method, _ in service.seen} <= {"GET", "HEAD", "OPTIONS"}
    assert service.methods_of("/login") == ["OPTIONS"]
    assert service.methods_of("/users/1") == ["OPTIONS"]
    assert [item.code for item in report.items] == ["route-undeclared"]
    assert report.checked["route"] == 2


async def test_a_route_that_was_removed_is_told_and_repaired(tmp_path: Path) -> None:
    """A GET route that answers 404, and a DELETE route whose path is unknown."""
    keep_contract(tmp_path)
    service = Service()
    whole = dict(service.routes)
    del service.routes["GET", "/users/{id}"], service.routes["DELETE", "/users/{id}"]
    async with serving(service), detecting(tmp_path) as detect:
        broken = await detect(service.url, checks=ONLY_ROUTES)
        service.routes = whole
        await service.start()
        repaired = await detect(service.url, checks=ONLY_ROUTES)
    assert codes(broken) == [
        ("route-missing", "DELETE /users/{id}"),
        ("route-missing", "GET /users/{id}"),
    ]
    assert (broken.has_drift, str(repaired.outcome)) == (True, "pass")


async def test_a_method_that_was_changed_is_told(tmp_path: Path) -> None:
    """GET became POST, and POST became PUT: told by 405 and by Allow."""
    keep_contract(tmp_path)
    service = Service()
    service.routes["PUT", "/users"] = service.routes.pop(("POST", "/users"))
    service.routes["POST", "/me"] = service.routes.pop(("GET", "/me"))
    async with serving(service), detecting(tmp_path) as detect:
        report = await detect(service.url, checks=ONLY_ROUTES)
    assert codes(report) == [
        ("route-method-not-allowed", "GET /me"),
        ("route-method-missing", "POST /users"),
    ]
    assert report.items[1].facts["allow"] == ["GET", "PUT"]


@pytest.mark.parametrize(
    ("status", "code", "severity"),
    [
        (410, "route-gone", Severity.BREAKING),
        (405, "route-method-not-allowed", Severity.BREAKING),
        (401, "route-needs-auth", Severity.BREAKING),
        (403, "route-needs-auth", Severity.BREAKING),
        (500, "route-error", Severity.BREAKING),
        (503, "route-error", Severity.BREAKING),
        (204, "route-status-undocumented", Severity.WARNING),
    ],
)
async def test_defect_validation_a12_statuses_that_show_drift_are_told(
    status: int, code: str, severity: Severity, tmp_path: Path
) -> None:
    """410, 401, 403, 405 and 5xx where the contract promises 200 are no `no drift`."""

    async def answer(_: web.Request) -> web.Response:
        return web.Response(status=status)

    keep_contract(tmp_path)
    service = Service()
    service.routes["GET", "/users"] = answer
    async with serving(service), detecting(tmp_path) as detect:
        report = await detect(service.url, routes=["/users"], checks=ONLY_ROUTES)
    told = [(item.code, item.severity) for item in report.items]
    assert (told, report.has_drift) == ([(code, severity)], True)


@pytest.mark.parametrize(
    ("target", "told"),
    [
        ("/fails", "route-redirect-broken"),
        ("/nowhere", "route-redirect-broken"),
        ("/users/", "route-redirect-broken"),
        ("/old", "route-redirect-broken"),
        ("/health", "route-redirects"),
        ("https://elsewhere.example.com/users", "route-redirects-elsewhere"),
        ("http://[::1/broken", "route-redirects-elsewhere"),
        ("ftp://x", "route-redirects-elsewhere"),
    ],
)
async def test_defect_validation_a12_redirects_are_followed_and_judged(
    target: str, told: str, tmp_path: Path
) -> None:
    """A redirect to what fails, to itself, to another path or to another host is drift."""

    async def fails(_: web.Request) -> web.Response:
        return web.Response(status=500)

    async def away(_: web.Request) -> web.Response:
        return web.Response(status=302, headers={"Location": target})

    service = Service()
    service.routes |= {("GET", "/old"): away, ("GET", "/fails"): fails}
    async with serving(service), detecting(tmp_path) as detect:
        report = await detect(service.url, routes=["GET /old"])
    assert codes(report) == [(told, "GET /old")]


async def test_a_redirect_that_was_expected_is_none(tmp_path: Path) -> None:
    """Who names the status means it."""

    async def away(_: web.Request) -> web.Response:
        return web.Response(status=302, headers={"Location": "/health"})

    service = Service()
    service.routes["GET", "/old"] = away
    async with serving(service), detecting(tmp_path) as detect:
        report = await detect(service.url, routes=["GET /old 302"])
    assert (codes(report), report.checked["route"]) == ([], 1)


async def test_defect_validation_f4_an_address_is_taken_as_it_is(tmp_path: Path) -> None:
    """localhost and 127.0.0.1 are one host; another is asked only if somebody allowed it."""
    keep_contract(tmp_path)
    async with serving() as service, serving() as other, detecting(tmp_path) as detect:
        alias = service.url.replace("127.0.0.1", "localhost")
        routes = [f"{alias}/users", f"GET {other.url}/users"]
        refused = await detect(service.url, routes=routes, checks=ONLY_ROUTES)
        host = other.url.removeprefix("http://")
        allowed = await detect(service.url, routes=routes, checks=ONLY_ROUTES, allow_hosts=[host])
    assert (codes(refused), refused.checked) == ([], {"route": 2})
    assert unsure(refused) == [("route", f"GET {other.url}/users")]
    assert (codes(allowed), unsure(allowed), allowed.checked) == ([], [], {"route": 3})


async def test_defect_validation_f5_an_expected_404_is_no_drift(tmp_path: Path) -> None:
    """What was expected is what counts, and its opposite is told."""
    async with serving() as service, detecting(tmp_path) as detect:
        fine = await detect(service.url, routes=["GET /old 404,410"])
        wrong = await detect(service.url, routes=["GET /users 404"])
    assert (codes(fine), fine.checked["route"]) == ([], 1)
    assert codes(wrong) == [("route-status", "GET /users")]


@pytest.mark.parametrize("route", ["users", "/users", "GET users", "//users"])
async def test_defect_validation_f6_a_route_needs_no_slash(route: str, tmp_path: Path) -> None:
    """Nothing is glued to the name of the host."""
    async with serving() as service, detecting(tmp_path) as detect:
        report = await detect(service.url, routes=[route])
    assert (codes(report), report.checked["route"]) == ([], 1)
    assert ("GET", "/users") in service.seen


async def test_credentials_open_what_needs_them_and_are_told_to_nobody(tmp_path: Path) -> None:
    """401 is fine for a route that needs credentials; wrong ones are told; no host else sees."""
    keep_contract(tmp_path)
    async with serving() as service, serving() as other, detecting(tmp_path) as detect:
        host = other.url.removeprefix("http://")
        asked = {"routes": ["/me", f"{other.url}/users"], "allow_hosts": [host]}
        without = await detect(service.url, **asked)
        right = await detect(service.url, headers={"Authorization": "Bearer s3cr3t-token"}, **asked)
        wrong = await detect(service.url, headers={"Authorization": "Bearer w0ng-token"}, **asked)
    assert (codes(without), codes(right)) == ([], [])
    assert codes(wrong) == [("route-refuses-credentials", "GET /me")]
    assert set(other.authorizations) == {None}
    assert "token" not in str(wrong.as_json())


async def test_a_route_that_should_be_shut_and_is_open_is_told(tmp_path: Path) -> None:
    """The contract asks for credentials, and production does not."""
    keep_contract(tmp_path)
    service = Service()
    service.routes["GET", "/me"] = service.routes["GET", "/health"]
    async with serving(service), detecting(tmp_path) as detect:
        report = await detect(service.url, routes=["/me"])
    assert codes(report) == [("route-open", "GET /me")]


async def test_a_page_in_place_of_json_is_told(tmp_path: Path) -> None:
    """The status is right, and the media type is none of the contract."""

    async def page(_: web.Request) -> web.Response:
        return web.Response(text="<html>maintenance</html>", content_type="text/html")

    keep_contract(tmp_path)
    service = Service()
    service.routes["GET", "/users"] = page
    async with serving(service), detecting(tmp_path) as detect:
        report = await detect(service.url, routes=["GET /users"])
        service.routes["GET", "/{any:.*}"] = page
        await service.start()
        everywhere = await detect(service.url, routes=["GET /settings"])
    assert codes(report) == [("route-content-type", "GET /users")]
    assert ("route-missing", "GET /settings") in codes(everywhere)


async def test_a_template_without_a_value_is_looked_for_by_options(tmp_path: Path) -> None:
    """404 for a made-up value means nothing by itself; OPTIONS tells whether it is there."""

    async def nobody(_: web.Request) -> web.Response:
        return web.Response(status=404)

    keep_contract(tmp_path)
    service = Service()
    service.routes["GET", "/users/{id}"] = nobody
    async with serving(service), detecting(tmp_path) as detect:
        there = await detect(service.url, routes=["GET /users/{id}"])
        service.routes["OPTIONS", "/{any:.*}"] = nobody
        await service.start()
        unknown = await detect(service.url, routes=["GET /users/{id}"])
    assert (codes(there), there.checked["route"]) == ([], 1)
    assert unsure(unknown) == [("route", "GET /users/{id}")]


async def test_a_route_that_nobody_may_ask_for_is_found_in_the_served_document(
    tmp_path: Path,
) -> None:
    """Where OPTIONS tells nothing, production's own document does; without it nothing is known."""

    async def nobody(_: web.Request) -> web.Response:
        return web.Response(status=404)

    keep_contract(tmp_path)
    service = Service()
    service.routes["OPTIONS", "/{any:.*}"] = nobody
    async with serving(service), detecting(tmp_path) as detect:
        found = await detect(service.url, routes=["POST /users"])
        assert service.contract is not None
        del service.contract["paths"]["/users"]["post"]
        lost = await detect(service.url, routes=["POST /users"], checks=ONLY_ROUTES)
        service.contract = None
        unknown = await detect(service.url, routes=["POST /users"])
    assert (codes(found), found.checked["route"]) == ([], 1)
    assert codes(lost) == [("route-missing", "POST /users")]
    assert unsure(unknown) == [("route", "POST /users")]


async def test_a_service_that_is_down_or_slow_is_told_once(tmp_path: Path) -> None:
    """All routes of a host that gives no answer are one item."""
    keep_contract(tmp_path)
    service = Service()
    service.routes["GET", "/users"] = for_ever
    async with serving(service), detecting(tmp_path) as detect:
        slow = await detect(service.url, routes=["GET /users"], timeout=0.2)
        await service.stop()
        down = await detect(service.url, checks=ONLY_ROUTES)
    assert codes(slow) == [("route-slow", "GET /users")]
    assert codes(down) == [("route-unreachable", service.url)]
    assert str(down.outcome) == "fail"


async def test_time_that_is_over_is_told_as_unchecked(tmp_path: Path) -> None:
    """What was not reached in the time for everything is no drift and no pass."""
    keep_contract(tmp_path)
    service = Service()
    service.routes = dict.fromkeys(service.routes, for_ever)
    async with serving(service), detecting(tmp_path, max_at_once=1) as detect:
        report = await detect(
            service.url, routes=["GET /users"], checks=ONLY_ROUTES, total_timeout=0.3
        )
    assert (codes(report), unsure(report)) == ([], [("route", "GET /users")])


async def test_a_base_path_of_the_contract_stands_before_its_paths(tmp_path: Path) -> None:
    """The first server's path is asked, unless the address of production has it already."""
    keep_contract(tmp_path, {**CONTRACT, "servers": [{"url": "https://api.example.com/v1"}]})
    service = Service()
    service.routes = {
        (method, f"/v1{path}"): each for (method, path), each in service.routes.items()
    }
    async with serving(service), detecting(tmp_path) as detect:
        bare = await detect(service.url, checks=ONLY_ROUTES)
        below = await detect(f"{service.url}/v1", checks=ONLY_ROUTES)
    assert (codes(bare), bare.checked) == ([], {"route": 5})
    assert (codes(below), below.checked) == ([], {"route": 5})


async def test_an_address_beside_the_base_path_of_production_is_asked_there(
    tmp_path: Path,
) -> None:
    """Below it, it is the contract's route; beside it, it is an address of its own."""
    keep_contract(tmp_path)
    service = Service()
    service.routes["GET", "/v1/users"] = service.routes["GET", "/users"]
    async with serving(service), detecting(tmp_path) as detect:
        routes = [f"GET {service.url}/{path}" for path in ("v1/users", "v10/users", "me")]
        report = await detect(f"{service.url}/v1", routes=routes, checks=ONLY_ROUTES)
    seen = [path for _, path in service.seen if NOWHERE not in path]
    assert sorted(path for path in seen if path != "/openapi.json") == [
        "/me",
        "/v1/users",
        "/v10/users",
    ]
    assert codes(report) == [
        ("route-missing", f"GET {service.url}/v10/users"),
        ("route-needs-auth", f"GET {service.url}/me"),
    ]


def test_a_method_that_does_something_cannot_be_asked() -> None:
    """The question knows it; what asks refuses to send it."""
    asked = DriftQuestion(routes=["delete /users/1"])  # type: ignore[list-item]
    assert asked.routes is not None
    assert (asked.routes[0].method, asked.routes[0].path) == ("DELETE", "/users/1")


async def test_a_route_of_which_no_method_is_known_is_not_asked_by_one_that_it_has_not(
    tmp_path: Path,
) -> None:
    """`/login` is for POST, as OPTIONS tells; no GET is tried."""
    service = Service()
    service.routes["POST", "/login"] = service.routes["POST", "/users"]
    async with serving(service), detecting(tmp_path) as detect:
        report = await detect(service.url, routes=["/login", "/users"], checks=ONLY_ROUTES)
    assert (codes(report), report.checked) == ([], {"route": 2})
    assert service.methods_of("/login") == ["OPTIONS"]
    assert service.methods_of("/users") == ["OPTIONS", "GET"]


async def test_an_allow_that_may_leave_out_methods_proves_nothing(tmp_path: Path) -> None:
    """Starlette names the methods of the first route of a path only; that is no drift."""

    async def first_route_only(_: web.Request) -> web.Response:
        told = '{"detail":"Method Not Allowed"}'
        return web.Response(text=told, status=405, headers={"Allow": "GET"})

    keep_contract(tmp_path)
    service = Service()
    service.routes["OPTIONS", "/users"] = first_route_only
    async with serving(service), detecting(tmp_path) as detect:
        served = await detect(service.url, routes=["POST /users"], checks=ONLY_ROUTES)
        service.contract = None
        unknown = await detect(service.url, routes=["POST /users"], checks=ONLY_ROUTES)
    assert (codes(served), served.checked) == ([], {"route": 1})
    assert (codes(unknown), unsure(unknown)) == ([], [("route", "POST /users")])


async def test_a_route_that_streams_is_there_once_it_answers(tmp_path: Path) -> None:
    """Its status counts; nobody waits for the end of a body that has none."""

    async def stream(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        await response.write(b"tick")
        await asyncio.Event().wait()
        return response

    service = Service()
    service.routes["GET", "/ticks"] = stream
    async with serving(service), detecting(tmp_path) as detect:
        report = await detect(service.url, routes=["GET /ticks"], checks=ONLY_ROUTES)
    assert (codes(report), report.checked) == ([], {"route": 1})


async def test_defect_validation_c3_no_secret_is_told(tmp_path: Path) -> None:
    """Neither of an address, of a query, of a header, nor one that production repeats."""

    async def echo(request: web.Request) -> web.Response:
        target = f"/nowhere?seen={request.headers['X-Key']}"
        return web.Response(status=302, headers={"Location": target})

    service = Service()
    service.routes["GET", "/echo"] = echo
    async with serving(service), detecting(tmp_path) as detect:
        report = await detect(
            service.url,
            headers={"X-Key": "s3cr3t-word"},
            routes=["GET /echo", "GET /x?token=s3cr3t-word", "http://me:s3cr3t-pass@h/x"],
            checks=ONLY_ROUTES,
        )
    assert len(report.items) == 2
    assert len(report.unchecked) == 1
    assert "s3cr3t" not in str(report.as_json())
