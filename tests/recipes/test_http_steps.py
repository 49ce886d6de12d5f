"""Steps that are requests, against a real web site."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator

import pytest
from aiohttp import web

from oneiric.recipes import Context, RecipeFailedError, run_recipe
from tests.contract.website import website
from tests.recipes.conftest import Desk


class Site:
    """The site, served by a thread, and how often `/flaky` was asked."""

    def __init__(self) -> None:
        self.address = ""
        self.asked = 0

    async def flaky(self, _: web.Request) -> web.Response:
        """Be busy twice, and then answer."""
        self.asked += 1
        return web.json_response({"asked": self.asked}, status=503 if self.asked < 3 else 200)


@pytest.fixture
def site() -> Iterator[Site]:
    """The site on a free port of this machine."""
    found, ready, loop = Site(), threading.Event(), asyncio.new_event_loop()

    async def serve() -> None:
        app = website()
        app.router.add_get("/flaky", found.flaky)
        runner = web.AppRunner(app, shutdown_timeout=0.1)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        found.address = f"http://127.0.0.1:{runner.addresses[0][1]}"
        ended.append(asyncio.Event())
        ready.set()
        await ended[0].wait()
        await runner.cleanup()

    ended: list[asyncio.Event] = []
    thread = threading.Thread(target=loop.run_until_complete, args=(serve(),))
    thread.start()
    assert ready.wait(60)
    yield found
    loop.call_soon_threadsafe(ended[0].set)
    thread.join()
    loop.close()


def ran(desk: Desk, site: Site, text: str) -> Context:
    """Run a step in memory, `URL` being the site's address."""
    return run_recipe(desk.write("r.yaml", text.replace("URL", site.address)), checkpoints=False)


def test_an_answer_is_kept_where_the_step_says(desk: Desk, site: Site) -> None:
    """Method, header and JSON are sent; of the answer's header the telling part is kept."""
    context = ran(
        desk,
        site,
        """
        inputs: {n: {type: int, default: 3}}
        steps:
          - name: w
            module: steps
            function: Write
            args: {key: a.n_v1, value: {n: 3}}
          - name: ask
            type: http
            method: POST
            url: "URL/echo?x=1"
            headers: {X-Who: me}
            json: {n: "${{ ctx['a.n_v1'].n }}"}
            save_to: b.answer_v1
        """,
    )
    found = context.get("b.answer_v1")
    assert isinstance(found, dict)
    assert found["status"] == 200
    assert found["headers"] == {"content-type": "application/json; charset=utf-8"}
    said = found["json"]
    assert (said["method"], said["path"], said["body"]) == ("POST", "/echo?x=1", '{"n":3}')
    assert said["headers"]["x-who"] == "me"


def test_a_text_is_kept_as_text(desk: Desk, site: Site) -> None:
    """Its charset is heeded; a body goes as it is."""
    context = ran(
        desk,
        site,
        """
        steps:
          - {name: a, type: http, url: "URL/latin", save_to: a.t_v1}
          - {name: b, type: http, method: PUT, url: "URL/echo", body: "x=y", save_to: b.t_v1}
        """,
    )
    assert context.get("a.t_v1")["text"] == "é"  # type: ignore[call-overload, index]
    assert context.get("b.t_v1")["json"]["body"] == "x=y"  # type: ignore[call-overload, index]


def test_another_status_than_expected_fails(desk: Desk, site: Site) -> None:
    """Without a word any below 400 will do; else those that are named, and no others."""
    text = "steps: [{name: a, type: http, url: URL/status/404 MORE}]"
    ran(desk, site, text.replace("MORE", ", status: [200, 404]"))
    with pytest.raises(RecipeFailedError, match="answered 404") as raised:
        ran(desk, site, text.replace("MORE", ""))
    error = raised.value.run.steps["a"].error
    assert error is not None
    assert (error["code"], error["type"]) == ("status-404", "Status4xxError")
    with pytest.raises(RecipeFailedError, match="answered 404, not 200 or 201"):
        ran(desk, site, text.replace("MORE", ", status: [200, 201]"))


@pytest.mark.parametrize("cause", ["status:5xx", "status:503"])
def test_a_busy_server_is_asked_again(desk: Desk, site: Site, cause: str) -> None:
    """The class of the status, or the status itself, is a cause for another try."""
    text = """
        steps:
          - name: a
            type: http
            url: URL/flaky
            retry: {max: 5, on: ["CAUSE"]}
            save_to: a.n_v1
        """
    context = ran(desk, site, text.replace("CAUSE", cause))
    assert context.get("a.n_v1")["json"] == {"asked": 3}  # type: ignore[call-overload, index]


def test_another_cause_is_not_tried_again(desk: Desk, site: Site) -> None:
    """One answer is enough then."""
    with pytest.raises(RecipeFailedError):
        ran(
            desk,
            site,
            "steps: [{name: a, type: http, url: URL/flaky, retry: {max: 5, on: ['status:4xx']}}]",
        )
    assert site.asked == 1


def test_an_answer_that_is_too_large_fails(desk: Desk, site: Site) -> None:
    """Nothing of it is kept."""
    with pytest.raises(RecipeFailedError, match=r"more than|larger|limit"):
        ran(
            desk,
            site,
            "steps: [{name: a, type: http, url: 'URL/many?size=2000000', save_to: a.t_v1}]",
        )


def test_an_answer_that_takes_too_long_fails_as_timeout(desk: Desk, site: Site) -> None:
    """Within the limit of the step."""
    with pytest.raises(RecipeFailedError) as raised:
        ran(desk, site, "steps: [{name: a, type: http, url: 'URL/slow?for=60', timeout: 300ms}]")
    assert raised.value.run.steps["a"].error["code"] == "timeout"  # type: ignore[index]


def test_a_secret_that_an_answer_repeats_is_not_kept(
    desk: Desk, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is sent, and refused where it would be written to the context."""
    monkeypatch.setenv("ONEIRIC_SECRET_TOKEN", "hunter2-hunter2")
    text = """
        secrets: [TOKEN]
        steps:
          - name: a
            type: http
            url: URL/echo
            headers: {Authorization: "Bearer ${{ secrets.TOKEN }}"}
            MORE
        """
    ran(desk, site, text.replace("MORE", ""))
    with pytest.raises(RecipeFailedError, match="holds a secret"):
        ran(desk, site, text.replace("MORE", "save_to: a.t_v1"))


def test_an_answer_is_kept_under_a_key_and_no_path(desk: Desk, site: Site) -> None:
    """Where paths are narrowed it may be kept all the same, and it serves again from the cache."""
    text = """
        allow: {paths: [data]}
        steps:
          - {name: a, type: http, url: "URL/flaky", status: [503], save_to: a.t_v1, cache: {}}
        """
    path = desk.write("r.yaml", text.replace("URL", site.address))
    first, second = run_recipe(path).to_dict(), run_recipe(path).to_dict()
    assert (first, site.asked) == (second, 1)
