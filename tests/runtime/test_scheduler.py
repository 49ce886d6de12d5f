"""Callbacks over HTTP: one recorded run each, from whoever may ask for it."""

import asyncio
import json
import logging
from pathlib import Path
from typing import Any

import pytest

from oneiric.errors import NoCandidateError, OneiricError, UnavailableError
from oneiric.runs.run import Run
from oneiric.runtime.scheduler import SchedulerHTTPServer
from tests.contract.issuer import AUDIENCE, EMAIL, NAME, Issuer, token
from tests.domains.works import Script, eventually
from tests.runtime.callbacks import GUARDED, TOKEN, callbacks, cloud_task, http, push
from tests.web.served import say

SHIP = {"workflow": "ship", "context": {"order": 7}}
BEARER = f"Authorization: Bearer {TOKEN}"


async def test_a_callback_is_one_recorded_run(tmp_path: Path) -> None:
    """Answered when it is over, with what became of it; the run tells how it came."""
    async with callbacks(tmp_path) as desk:
        status, _, told = await desk.post(SHIP, *cloud_task("t-1"))
        run: Run = await desk.work.engine.get(told["run_id"])

    assert (status, told["schema"]) == (200, "oneiric.callback/1")
    assert (told["name"], told["state"], told["error"]) == ("workflow:ship", "succeeded", None)
    assert desk.script.calls == [("pick", {"order": 7}), ("pack", {"order": 7})]
    assert run.metadata["delivery"] == {
        "sender": "cloud-tasks",
        "name": "orders/t-1",
        "by": "this-machine",
    }


async def test_a_task_can_be_asked_for_as_well(tmp_path: Path) -> None:
    """At a path of its own; neither path takes the other's messages."""
    async with callbacks(tmp_path) as desk:
        done = await desk.post({"task": "pick", "payload": 7}, path="/tasks/task")
        wrong = [
            (await desk.post({"task": "pick"}))[0],
            (await desk.post(SHIP, path="/tasks/task"))[0],
        ]

    assert (done[0], done[2]["name"]) == (200, "task:pick")
    assert (wrong, desk.script.calls) == ([400, 400], [("pick", 7)])


@pytest.mark.parametrize("form", ["task", "push", "key", "run id"])
async def test_defect_oneiric_h1_the_same_delivery_runs_once(tmp_path: Path, form: str) -> None:
    """One after another, at the same time, and after a restart."""
    body: Any = {"push": push(SHIP), "run id": {**SHIP, "run_id": "r-1"}}.get(form, SHIP)
    fields = {"task": cloud_task("t-1"), "key": ("Idempotency-Key: k",)}.get(form, ())
    script = Script()
    async with callbacks(tmp_path, script) as desk:
        answers = await asyncio.gather(*(desk.post(body, *fields) for _ in range(8)))
        answers.append(await desk.post(body, *fields))
    async with callbacks(tmp_path, script) as desk:
        answers.append(await desk.post(body, *fields))

    assert {answer[0] for answer in answers} == {200}
    assert len({answer[2]["run_id"] for answer in answers}) == 1
    assert script.names == ["pick", "pack"]


async def test_defect_oneiric_h1_a_checkpoint_from_outside_skips_no_step(tmp_path: Path) -> None:
    """It is refused, and nothing is begun."""
    async with callbacks(tmp_path) as desk:
        status, _, told = await desk.post({**SHIP, "checkpoint": {"pick": {}}}, *cloud_task("t"))
        runs = await desk.work.journal.runs()

    assert (status, told["error"]["code"]) == (400, "invalid-message")
    assert (list(runs), desk.script.calls) == ([], [])


async def test_defect_oneiric_h1_what_must_not_be_retried_is_told_apart(tmp_path: Path) -> None:
    """A failed run is recorded, and done with; an unknown workflow is the sender's mistake."""
    script = Script(failures={"pack": 99})
    async with callbacks(tmp_path, script) as desk:
        failed = [await desk.post(SHIP, *cloud_task("t-1", retries=n)) for n in range(2)]
        unknown = await desk.post({"workflow": "shop"}, *cloud_task("t-2"))
        invalid = await desk.post({"workflow": "needs"}, *cloud_task("t-3"))
        other = await desk.post(
            {"workflow": "needs", "context": {"order": {}}, "run_id": failed[0][2]["run_id"]}
        )

    assert [(status, told["state"]) for status, _, told in failed] == [(200, "failed")] * 2
    assert "pack does not answer" in json.dumps(failed[0][2]["error"])
    assert script.names == ["pick", "pack"]
    assert (unknown[0], unknown[2]["error"]["code"]) == (404, "no-candidate")
    assert unknown[2]["error"]["hint"] == "did you mean workflow:ship?"
    assert (invalid[0], other[0]) == (400, 400)
    assert not any("retry-after" in answer[1] for answer in (unknown, invalid, other))


async def test_defect_oneiric_h1_it_listens_on_this_machine_only(tmp_path: Path) -> None:
    """Unless it is told otherwise."""
    async with callbacks(tmp_path) as desk:
        assert desk.server.where.url.startswith("http://127.0.0.1:")


@pytest.mark.parametrize(
    "fields",
    [
        (),
        ("Authorization: Bearer wrong",),
        ("Authorization: Bearer",),
        (f"Authorization: Basic {TOKEN}",),
        (f"Authorization: {TOKEN}",),
        (f"X-Api-Key: {TOKEN}",),
        (f"Authorization: Bearer {TOKEN[:-1]}",),
        (f"Authorization: Bearer {TOKEN}, Bearer x",),
    ],
    ids=["none", "wrong", "empty", "basic", "bare", "other field", "cut", "two"],
)
async def test_defect_oneiric_h1_nobody_runs_anything_without_a_token(
    tmp_path: Path, fields: tuple[str, ...]
) -> None:
    """Whatever is shown instead; nothing of the body is looked at."""
    async with callbacks(tmp_path, config=GUARDED) as desk:
        status, told, body = await desk.post(SHIP, *fields)
        garbage = await desk.post(b"\0", *fields, kind="image/png")
        metrics = await say(desk.port, http(b"", *fields, method="GET", path="/metrics"))

    assert (status, told["www-authenticate"]) == (401, "Bearer")
    assert body["error"]["code"] == "unauthenticated"
    assert (garbage[0], metrics[0], desk.script.calls) == (401, 401, [])


async def test_who_shows_the_right_token_is_let_in(tmp_path: Path) -> None:
    """From wherever, and the run tells who it was."""
    async with callbacks(tmp_path, config=GUARDED) as desk:
        status, _, told = await desk.post(SHIP, BEARER, host="tasks.example.org")
        metrics = await say(desk.port, http(b"", BEARER, method="GET", path="/metrics"))
        run = await desk.work.engine.get(told["run_id"])

    assert (status, metrics[0], metrics[2]) == (200, 200, "up 1\n")
    assert run.metadata["delivery"] == {"sender": "http", "name": "", "by": "ci"}


async def test_a_signed_token_of_cloud_tasks_is_let_in(tmp_path: Path) -> None:
    """Of the service account that is named, and no other; while nobody can tell, later."""
    with Issuer() as issuer:
        config = f"""
            [http]
            identity = "oidc"
            [adapters.provider_settings."identity@oidc"]
            issuer = "{NAME}"
            jwks_url = "{issuer.address}"
            audience = ["{AUDIENCE}"]
            emails = ["{EMAIL}"]
        """
        async with callbacks(tmp_path, config=config) as desk:
            answers = [
                (await desk.post(SHIP, f"Authorization: Bearer {shown}"))[0]
                for shown in (
                    token(),
                    token(email="eve@example.org"),
                    token(aud="https://other.example"),
                    token("eve"),
                )
            ]
        issuer.server.remove("/keys.json")
        async with callbacks(tmp_path, config=config) as desk:
            answers.append((await desk.post(SHIP, f"Authorization: Bearer {token()}"))[0])

    assert answers == [200, 403, 401, 401, 503]


async def test_promise_c5_others_reach_nothing_where_no_identity_is_configured(
    tmp_path: Path,
) -> None:
    """A listener on every address lets nobody in; only whether it lives and is ready is told."""
    async with callbacks(tmp_path, host="0.0.0.0") as desk:
        refused = [await desk.post(SHIP), await desk.post(SHIP, path="/tasks/task")]
        paths = {
            path: (await say(desk.port, http(b"", method="GET", path=path)))[0]
            for path in ("/metrics", "/nothing", "/healthz", "/readyz")
        }

    assert [status for status, _, _ in refused] == [403, 403]
    assert "http.identity" in refused[0][2]["error"]["hint"]
    assert paths == {"/metrics": 403, "/nothing": 403, "/healthz": 200, "/readyz": 200}
    assert desk.script.calls == []


@pytest.mark.parametrize(
    ("host", "fields", "status"),
    [
        ("127.0.0.1", (), 200),
        ("127.0.0.1:8080", (), 200),
        ("localhost:8080", (), 200),
        ("LOCALHOST", (), 200),
        ("[::1]:8080", (), 200),
        ("attacker.example:8080", (), 403),
        ("127.0.0.1.attacker.example", (), 403),
        ("localhost.attacker.example", (), 403),
        ("", (), 403),
        ("127.0.0.1", ("Origin: http://attacker.example",), 403),
        ("127.0.0.1", ("Origin: null",), 403),
    ],
)
async def test_promise_c5_no_web_page_calls_by_way_of_a_browser_here(
    tmp_path: Path, host: str, fields: tuple[str, ...], status: int
) -> None:
    """Neither directly nor by a name that it made lead to this machine."""
    async with callbacks(tmp_path) as desk:
        answer = await desk.post(SHIP, *fields, host=host)

    assert (answer[0], bool(desk.script.calls)) == (status, status == 200)


async def test_no_secret_reaches_the_log_or_a_run(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Neither the token of who may call, nor that of who may not."""
    caplog.set_level(logging.DEBUG)
    async with callbacks(tmp_path, config=GUARDED) as desk:
        _, _, told = await desk.post(SHIP, BEARER)
        await desk.post(SHIP, "Authorization: Bearer wrong-but-secret")
        events = [str(each) for each in await desk.work.journal.read(told["run_id"])]

    shown = caplog.text + "".join(events)
    assert TOKEN not in shown
    assert "wrong-but-secret" not in shown
    assert "callback-answered" in caplog.text
    assert "caller-refused" in caplog.text


async def test_a_paused_workflow_has_its_callbacks_come_again(tmp_path: Path) -> None:
    """But one whose run is over is answered all the same."""
    async with callbacks(tmp_path) as desk:
        await desk.post(SHIP, *cloud_task("t-1"))
        await desk.work.runtime.pause("workflow:ship", note="stock-taking")
        over = await desk.post(SHIP, *cloud_task("t-1"))
        new = await desk.post(SHIP, *cloud_task("t-2"))
        await desk.work.runtime.resume("workflow:ship")
        again = await desk.post(SHIP, *cloud_task("t-2"))

    assert (over[0], over[2]["state"], again[0]) == (200, "succeeded", 200)
    assert (new[0], new[2]["error"]["code"], "retry-after" in new[1]) == (503, "paused", True)


async def test_a_workflow_that_has_gone_forgets_no_run(tmp_path: Path) -> None:
    """What is recorded is told, though nobody offers it any more."""
    async with callbacks(tmp_path) as desk:
        await desk.post(SHIP, *cloud_task("t-1"))
        desk.work.runtime.resolver.registry.withdraw("workflow:ship@test")
        over = await desk.post(SHIP, *cloud_task("t-1"))
        new = await desk.post(SHIP, *cloud_task("t-2"))

    assert (over[0], new[0]) == (200, 404)


async def test_a_run_that_waits_for_somebody_is_accepted(tmp_path: Path) -> None:
    """It is recorded, so nobody need push it again; when it is over that is told."""
    asks = {"workflow": "asks", "run_id": "r-1"}
    async with callbacks(tmp_path) as desk:
        waits = await desk.post(asks)
        await desk.work.engine.signal("r-1", "go")

        async def is_over() -> bool:
            return (await desk.work.engine.get("r-1")).state.is_over

        await eventually(is_over)
        over = await desk.post(asks)

    assert (waits[0], waits[2]["state"]) == (202, "waiting")
    assert (over[0], over[2]["state"]) == (200, "succeeded")


async def test_a_run_that_takes_longer_goes_on(tmp_path: Path) -> None:
    """The sender is told in time to come again, and finds it done then."""
    script = Script(gates={"pick": asyncio.Event()})
    config = "[http]\nanswer_seconds = 0.3\n"
    async with callbacks(tmp_path, script, config=config) as desk:
        early = [await desk.post(SHIP, *cloud_task("t-1")) for _ in range(2)]
        script.gates["pick"].set()
        await script.until("pack")
        late = await desk.post(SHIP, *cloud_task("t-1"))

    assert [answer[0] for answer in early] == [503, 503]
    error = early[0][2]["error"]
    assert (error["code"], "retry-after" in early[0][1]) == ("run-under-way", True)
    assert (late[0], late[2]["run_id"]) == (200, error["details"]["run_id"])
    assert script.names == ["pick", "pack"]


async def test_a_run_that_another_process_works_on_is_asked_for_again(tmp_path: Path) -> None:
    """Nobody begins it a second time."""
    script = Script(gates={"pick": asyncio.Event()})
    async with callbacks(tmp_path, script) as one, callbacks(tmp_path, script) as two:
        first = asyncio.create_task(one.post(SHIP, *cloud_task("t-1")))
        await script.until("pick")
        second = await two.post(SHIP, *cloud_task("t-1"))
        script.gates["pick"].set()
        done = [(await first)[0], (await two.post(SHIP, *cloud_task("t-1")))[0]]

    assert (second[0], second[2]["error"]["code"]) == (503, "locked")
    assert (done, script.names) == ([200, 200], ["pick", "pack"])


async def test_more_callbacks_than_are_taken_on_come_again(tmp_path: Path) -> None:
    """The rest is not kept waiting, and nothing of it is begun."""
    script = Script(gates={"pick": asyncio.Event()})
    async with callbacks(tmp_path, script, config="[http]\nconcurrency = 2\n") as desk:
        first = [asyncio.create_task(desk.post(SHIP, *cloud_task(f"t-{n}"))) for n in range(2)]
        await eventually(lambda: script.names == ["pick"] * 2)
        busy = await desk.post(SHIP, *cloud_task("t-2"))
        script.gates["pick"].set()
        done = [(await each)[0] for each in first]
        free = await desk.post(SHIP, *cloud_task("t-2"))

    assert (busy[0], busy[2]["error"]["code"], "retry-after" in busy[1]) == (503, "busy", True)
    assert ([*done, free[0]], len(script.names)) == ([200] * 3, 6)


async def test_nothing_is_taken_before_it_is_ready(tmp_path: Path) -> None:
    """And `/readyz` says why."""
    problems = ["manifests are looked at"]
    async with callbacks(tmp_path, ready=lambda: problems) as desk:
        early = await desk.post(SHIP, *cloud_task("t-1"))
        unready = await say(desk.port, http(b"", method="GET", path="/readyz"))
        problems.clear()
        late = await desk.post(SHIP, *cloud_task("t-1"))

    assert (early[0], early[2]["error"]["code"]) == (503, "busy")
    assert (unready[0], unready[2]["problems"]) == (503, ["manifests are looked at"])
    assert late[0] == 200


async def test_promise_c4_what_is_under_way_at_the_end_is_finished(tmp_path: Path) -> None:
    """New callbacks are asked to come again meanwhile, and it is no more ready."""
    script = Script(gates={"pick": asyncio.Event()})
    async with callbacks(tmp_path, script) as desk:
        under_way = asyncio.create_task(desk.post(SHIP, *cloud_task("t-1")))
        await script.until("pick")
        desk.server.stop()
        refused = await desk.post(SHIP, *cloud_task("t-2"))
        unready = await say(desk.port, http(b"", method="GET", path="/readyz"))
        alive = await say(desk.port, http(b"", method="GET", path="/healthz"))
        asyncio.get_running_loop().call_later(0.2, script.gates["pick"].set)
    done = await under_way

    assert (refused[0], refused[2]["error"]["code"]) == (503, "busy")
    assert (unready[0], alive[0]) == (503, 200)
    assert (done[0], done[2]["state"], script.names) == (200, "succeeded", ["pick", "pack"])


async def test_promise_c4_who_outlasts_the_grace_is_told_to_come_again(tmp_path: Path) -> None:
    """The run is let go of, and whoever gets the next delivery finishes it."""
    script = Script(gates={"pick": asyncio.Event()})
    async with callbacks(tmp_path, script, grace=0.1) as desk:
        under_way = asyncio.create_task(desk.post(SHIP, *cloud_task("t-1")))
        await script.until("pick")
    told = await under_way
    script.gates["pick"].set()
    async with callbacks(tmp_path, script) as desk:
        again = await desk.post(SHIP, *cloud_task("t-1", retries=1))

    assert (told[0], told[2]["error"]["code"]) == (503, "run-under-way")
    assert (again[0], again[2]["state"]) == (200, "succeeded")
    assert script.names == ["pick", "pick", "pack"]


@pytest.mark.parametrize(
    ("body", "more", "status", "code"),
    [
        (b"", {}, 400, "invalid-document"),
        (b"{", {}, 400, "invalid-document"),
        (b"\xff\xfe", {}, 400, "invalid-document"),
        (b"[" * 100_000, {}, 400, "invalid-document"),
        (b'{"a": NaN}', {}, 400, "invalid-document"),
        (b'{"workflow": "a", "workflow": "b"}', {}, 400, "invalid-document"),
        (b"[]", {}, 400, "invalid-message"),
        (b" " * 2_000_000, {}, 413, "too-large"),
        (SHIP, {"kind": "text/plain"}, 415, "unsupported-media-type"),
        (SHIP, {"kind": "application/octet-stream"}, 415, "unsupported-media-type"),
        (SHIP, {"method": "PUT"}, 405, "method-not-allowed"),
        (SHIP, {"method": "GET"}, 405, "method-not-allowed"),
        (SHIP, {"path": "/tasks"}, 404, "not-found"),
        (SHIP, {"path": "/tasks/workflow/"}, 404, "not-found"),
    ],
    ids=lambda value: str(value)[:30],
)
async def test_a_request_that_cannot_be_served_is_the_senders_mistake(
    tmp_path: Path, body: Any, more: dict[str, str], status: int, code: str
) -> None:
    """Told in the one form of errors; the next request is served."""
    async with callbacks(tmp_path) as desk:
        answer = await desk.post(body, *cloud_task("t-1"), **more)
        next_one = await desk.post(SHIP, *cloud_task("t-1"))

    assert (answer[0], answer[2]["error"]["code"]) == (status, code)
    assert (next_one[0], "retry-after" in answer[1]) == (200, False)


async def test_a_sender_that_hangs_up_has_its_run_all_the_same(tmp_path: Path) -> None:
    """The next delivery finds it; nothing is done twice."""
    script = Script(gates={"pick": asyncio.Event()})
    async with callbacks(tmp_path, script) as desk:
        _, writer = await asyncio.open_connection("127.0.0.1", desk.port)
        writer.write(http(SHIP, *cloud_task("t-1")))
        await script.until("pick")
        writer.close()
        script.gates["pick"].set()
        await script.until("pack")
        again = await desk.post(SHIP, *cloud_task("t-1"))

    assert (again[0], script.names) == (200, ["pick", "pack"])


async def test_a_port_that_is_taken_is_told(tmp_path: Path) -> None:
    """And nothing is left behind."""
    async with callbacks(tmp_path) as desk:
        other = SchedulerHTTPServer(desk.work, port=desk.port)
        with pytest.raises(UnavailableError, match="in use"):
            await other.__aenter__()


async def test_an_identity_that_nobody_offers_is_told_at_the_start(tmp_path: Path) -> None:
    """Rather than at each callback."""
    with pytest.raises(NoCandidateError, match="another provider"):
        async with callbacks(tmp_path, config='[http]\nidentity = "tokens"\n'):
            raise AssertionError("it listens")


async def test_a_provider_that_nobody_offers_is_the_senders_mistake(tmp_path: Path) -> None:
    """While one that may not serve now may do so later."""
    asked = {**SHIP, "workflow_provider": "test"}
    async with callbacks(tmp_path) as desk:
        unknown = await desk.post({**SHIP, "workflow_provider": "other"}, *cloud_task("t-1"))
        await desk.work.runtime.pause("workflow:ship@test")
        paused = [await desk.post(body, *cloud_task("t-2")) for body in (SHIP, asked)]
        await desk.work.runtime.resume("workflow:ship@test")
        again = await desk.post(asked, *cloud_task("t-2"))

    assert (unknown[0], [each[0] for each in paused], again[0]) == (404, [503, 503], 200)


async def test_an_identity_that_cannot_come_up_is_told_at_the_start(tmp_path: Path) -> None:
    """With the key that is wrong and without the token, and not to each caller as 503."""
    with pytest.raises(OneiricError) as caught:
        async with callbacks(tmp_path, config=GUARDED.replace(TOKEN, "hunter2")):
            pytest.fail("it serves, and can let nobody in")

    told = f"{caught.value.message} {caught.value.details()}"
    assert "tokens.ci" in told
    assert "hunter2" not in told


async def test_an_identity_that_is_paused_keeps_no_server_from_starting(tmp_path: Path) -> None:
    """Callers are asked to come again, and are let in when it takes work again."""
    async with callbacks(tmp_path, config=GUARDED) as desk:
        await desk.work.runtime.pause("adapter:identity")
    async with callbacks(tmp_path, config=GUARDED) as desk:
        during = (await desk.post(SHIP, BEARER))[0]
        await desk.work.runtime.resume("adapter:identity")
        after = (await desk.post(SHIP, BEARER))[0]

    assert (during, after) == (503, 200)


@pytest.mark.parametrize("serves", ["token", "oidc"])
async def test_a_token_that_is_rotated_lets_nobody_in_any_more(tmp_path: Path, serves: str) -> None:
    """Whether or not the identity that is asked serves its place too; the new counts at once."""
    old, new = TOKEN, TOKEN[::-1]
    secret = GUARDED.replace(f'"{TOKEN}"', '{ secret = "ci-token" }')
    store = tmp_path / "secrets.toml"
    store.write_text(f'ci-token = "{old}"\n')
    store.chmod(0o600)
    config = (
        f"{secret}[adapters.selections]\nsecrets = 'file'\nidentity = '{serves}'\n"
        f"[adapters.provider_settings.file]\npath = '{store}'\n"
        "[adapters.provider_settings.oidc]\n"
        f"issuer = '{NAME}'\naudience = ['{AUDIENCE}']\nemails = ['{EMAIL}']\n"
    )
    async with callbacks(tmp_path, config=config) as desk:
        before = [
            (await desk.post(SHIP, f"Authorization: Bearer {each}"))[0] for each in (old, new)
        ]
        store.write_text(f'ci-token = "{new}"\n')
        report = await desk.work.runtime.secrets.rotate(["ci-token"])
        after = [(await desk.post(SHIP, f"Authorization: Bearer {each}"))[0] for each in (old, new)]

    asked = "adapter:identity" if serves == "token" else "adapter:identity@token"
    assert (report.exit_code, [str(each.ref) for each in report.swapped]) == (0, [asked])
    assert (before, after) == ([200, 401], [401, 200])
