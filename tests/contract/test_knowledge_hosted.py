"""The hosted knowledge: whatever it answers, a call ends in the words of the port."""

import asyncio
import logging
from typing import Any

import pytest
from aiohttp import web
from pydantic import ValidationError

from oneiric.adapters.knowledge.snipara import SniparaKnowledgeSettings
from oneiric.errors import OneiricError
from oneiric.ports import (
    AdapterError,
    ConflictError,
    InvalidRequestError,
    NotFoundError,
    PermissionDeniedError,
    RateLimitedError,
    UnavailableError,
)
from tests.contract.cases import CASES, Find, ProviderCase, Surroundings, brought_up
from tests.contract.chat import TOKEN
from tests.contract.snipara import BAD, GOOD, KEY, Snipara, envelope, error, status
from tests.servers import TcpProxy, free_port

SNIPARA = "adapter:knowledge@snipara"
HTTP = "adapter:http@aiohttp"
pytestmark = pytest.mark.parametrize(
    "case", [CASES[SNIPARA]], ids=["knowledge@snipara"], indirect=True
)
KINDS: dict[str, tuple[type[AdapterError], int]] = {
    "401": (PermissionDeniedError, 1),
    "403": (PermissionDeniedError, 1),
    "404": (NotFoundError, 1),
    "429": (RateLimitedError, 3),
    "429 with a wait": (RateLimitedError, 1),
    "500": (UnavailableError, 3),
    "parse error": (InvalidRequestError, 1),
}
"""What an answer means, and how often it is asked for; for all others `AdapterError`, and once."""


@pytest.fixture
async def knowledge(here: Surroundings, component: Find) -> Any:
    """The hosted knowledge, whose limits are low."""
    here.changes[HTTP] = {"max_response_bytes": 200_000}
    here.changes[SNIPARA] = {"timeout": 5.0}
    return await component(SNIPARA)


@pytest.mark.parametrize("mode", GOOD, ids=list(GOOD))
async def test_defect_validation_b8_every_envelope_is_opened(
    mode: str, knowledge: Any, snipara: Snipara
) -> None:
    """Also with `"error": null`, as events, or as a batch of one."""
    snipara.modes = [GOOD[mode]]
    swarm = await knowledge.create_swarm("one")

    assert swarm["swarm_id"].startswith("swarm_")


@pytest.mark.parametrize("mode", [name for name in BAD if name != "slow"])
@pytest.mark.parametrize(
    "call",
    [
        lambda found: found.remember("x"),
        lambda found: found.recall("x"),
        lambda found: found.complete_htask("s", task_id="t"),
    ],
    ids=["remember", "recall", "complete"],
)
async def test_defect_validation_b7_a11_c3_every_refusal_is_an_error_of_the_port(
    call: Any, mode: str, knowledge: Any, snipara: Snipara, caplog: pytest.LogCaptureFixture
) -> None:
    """Tried again only where that may help; the key that answers repeat is shown nowhere."""
    caplog.set_level(logging.DEBUG)
    snipara.modes = [BAD[mode]] * 3
    with pytest.raises(AdapterError) as caught:
        await call(knowledge)
    kind, requests = KINDS.get(mode, (AdapterError, 1))

    assert (type(caught.value), len(snipara.received)) == (kind, requests)
    shown = [caught.value.render(), repr(caught.value), str(caught.value.details()), caplog.text]
    assert TOKEN not in "".join(shown)


async def test_defect_validation_b7_what_is_refused_for_now_is_tried_again(
    knowledge: Any, snipara: Snipara
) -> None:
    """After 429 or 5xx, with or without a wait that was asked for."""
    soon = status(429, **{"Retry-After": "0"})
    snipara.modes = [soon, BAD["500"]]
    await knowledge.remember("kept once")

    assert snipara.tools == ["remember"] * 3
    assert (await knowledge.list_memories())["total_count"] == 1


async def test_a_long_wait_is_honoured_by_later_calls(knowledge: Any, snipara: Snipara) -> None:
    """They fail at once, tell how long it lasts, and nobody is called."""
    snipara.modes = [BAD["429 with a wait"]]
    for _ in range(3):
        with pytest.raises(RateLimitedError) as caught:
            await knowledge.recall("x")

    assert len(snipara.received) == 1
    assert 3_500 < (caught.value.retry_after or 0) <= 3_600
    assert bool(await knowledge.health())


async def test_defect_validation_b7_a_service_that_is_down_is_left_alone_as_long_as_it_asks(
    knowledge: Any, snipara: Snipara
) -> None:
    """`Retry-After` counts with 503 as it does with 429."""
    snipara.modes = [status(503, **{"Retry-After": "3600"})]
    with pytest.raises(UnavailableError, match="503"):
        await knowledge.recall("x")
    with pytest.raises(RateLimitedError) as caught:
        await knowledge.recall("x")

    assert len(snipara.received) == 1
    assert 3_500 < (caught.value.retry_after or 0) <= 3_600


async def test_defect_validation_b7_one_bad_answer_at_first_is_no_end(
    here: Surroundings, snipara: Snipara
) -> None:
    """Whoever brings it up asks once more before the service counts as ill."""
    snipara.listing = [BAD["500"]]
    async with brought_up(here) as find:
        await (await find(SNIPARA)).remember("kept")

    assert (snipara.listing, snipara.tools) == ([], ["remember"])


async def test_what_nobody_answered_is_repeated_only_if_that_changes_nothing(
    here: Surroundings, snipara: Snipara
) -> None:
    """A question is asked again; what may have been kept already is not sent twice."""
    here.changes[SNIPARA] = {"timeout": 0.3, "attempts": 2}
    async with brought_up(here) as find:
        knowledge = await find(SNIPARA)
        snipara.modes = [BAD["slow"]]
        with pytest.raises(UnavailableError, match="took too long"):
            await knowledge.remember("x")
        snipara.modes = [BAD["slow"]]
        assert (await knowledge.recall("x"))["memories"] == []

    assert snipara.tools == ["remember", "recall", "recall"]


async def test_defect_validation_b5_an_absent_service_is_unavailable_at_once(
    here: Surroundings, case: ProviderCase
) -> None:
    """It does not come up, says so, and shows no key."""
    here.http_port = free_port()
    async with brought_up(here) as find:
        with pytest.raises(OneiricError) as caught:
            await asyncio.wait_for(find(SNIPARA), 30)

    assert f"127.0.0.1:{here.http_port}" in caught.value.render()
    assert TOKEN not in caught.value.render()


async def test_defect_validation_b5_a_service_that_goes_away_is_unavailable(
    here: Surroundings, snipara: Snipara
) -> None:
    """Each call ends in the words of the port, and the next ones work when it is back."""
    async with TcpProxy(snipara.port) as proxy:
        here.http_port = proxy.port
        async with brought_up(here) as find:
            knowledge = await find(SNIPARA)
            await proxy.refuse()
            for call in (knowledge.remember("x"), knowledge.recall("x")):
                with pytest.raises(UnavailableError):
                    await call
            down = await knowledge.health()
            await proxy.accept()
            await knowledge.remember("x")

    assert (down.healthy, "127.0.0.1" in down.detail) == (False, True)
    assert snipara.tools == ["remember"]


@pytest.mark.parametrize("is_listed", [True, False])
async def test_an_open_server_is_called_by_its_own_names(
    is_listed: bool, here: Surroundings, snipara: Snipara, component: Find
) -> None:
    """Which its list tells, or its first refusal; found out once."""
    snipara.family = "rlm_" if is_listed else "snipara_"
    knowledge = await component(SNIPARA)
    snipara.family = "rlm_"
    if not is_listed:
        knowledge._family = ""  # as where `tools/list` told nothing
    before = len(snipara.paths)
    for _ in range(3):
        await knowledge.remember("x")

    assert snipara.tools == ["remember"] * 3
    assert len(snipara.paths) - before == (3 if is_listed else 4)


async def test_wrong_arguments_are_no_reason_for_other_names(
    knowledge: Any, snipara: Snipara
) -> None:
    """Where the names are known, the refusal is told as it is."""
    snipara.modes = [lambda id_, _: web.json_response(error(id_, -32602, "text is too odd"))]
    with pytest.raises(InvalidRequestError, match="text is too odd"):
        await knowledge.remember("x")

    assert len(snipara.received) == 1


async def test_of_two_refusals_the_telling_one_is_told(knowledge: Any, snipara: Snipara) -> None:
    """Where no names are known yet, and one of them was right, but the arguments were not."""
    snipara.family, knowledge._family = "rlm_", ""
    snipara.modes = [lambda id_, _: web.json_response(error(id_, -32602, "text is too odd"))]
    with pytest.raises(InvalidRequestError, match="text is too odd"):
        await knowledge.remember("x")


@pytest.mark.parametrize(
    ("said", "kind"),
    [
        ({"error": "Task htask_1 not found"}, NotFoundError),
        ({"success": False, "error": "Rate limit exceeded"}, RateLimitedError),
        ({"success": False, "error": "stale", "current_version": 4}, ConflictError),
        ({"success": False, "error": "Key lacks the memory scope"}, PermissionDeniedError),
        ({"success": False, "error": "owner is required"}, InvalidRequestError),
        ({"success": False, "error": {"message": "\x1b[2Jboom\n" + "x" * 500}}, AdapterError),
        ({"success": False}, AdapterError),
    ],
)
async def test_words_of_a_refusal_have_a_meaning(
    said: Any, kind: type[AdapterError], knowledge: Any, snipara: Snipara
) -> None:
    """One line of it is told, and nothing that steers a terminal."""
    snipara.modes = [lambda id_, _: web.json_response(envelope(id_, said))]
    with pytest.raises(AdapterError) as caught:
        await knowledge.complete_htask("s", task_id="t")

    assert type(caught.value) is kind
    assert caught.value.message.isprintable()
    assert len(caught.value.message) < 300


async def test_a_feature_that_was_made_in_part_is_an_error(
    knowledge: Any, snipara: Snipara
) -> None:
    """It names the feature, and what is missing of it."""
    parts = [
        {"workstream_type": "API", "task_id": "t1", "success": True},
        {"workstream_type": "QA", "success": False, "error": "limit"},
    ]
    said = {"success": True, "feature_id": "htask_9", "workstreams": parts}
    snipara.modes = [lambda id_, _: web.json_response(envelope(id_, said))]

    with pytest.raises(AdapterError, match="htask_9 without QA"):
        await knowledge.create_htask_feature("s", title="t", description="d", owner="o")


async def test_values_of_others_come_back_as_they_are(knowledge: Any, snipara: Snipara) -> None:
    """What another client has put is in no wrapping of ours."""
    swarm = (await knowledge.create_swarm("s"))["swarm_id"]
    await snipara.kept.set_state(swarm, agent_id="b", key="k", value={"a": 1, "b": 2})

    assert (await knowledge.get_state(swarm, key="k"))["value"] == {"a": 1, "b": 2}


async def test_relevance_has_one_name_and_a_range(knowledge: Any, snipara: Snipara) -> None:
    """Whichever name a server gives it."""
    told = [{"relevance": 0.8}, {"relevance_score": 0.4}, {"relevance": 7}, {}, "odd"]
    snipara.modes = [lambda id_, _: web.json_response(envelope(id_, {"memories": told}))]
    found = (await knowledge.recall("x"))["memories"]

    assert [each["relevance"] for each in found] == [0.8, 0.4, 1.0, 0.0]


async def test_a_project_with_a_slash_is_one_part_of_the_path(
    knowledge: Any, snipara: Snipara
) -> None:
    """And a key that is refused keeps the knowledge from coming up, unseen."""
    await knowledge.list_memories()

    assert set(snipara.paths) == {"/mcp/acme%2Fshop"}


@pytest.mark.parametrize(
    "change", [{"api_key": "snp-wrong-" + TOKEN}, {"project": "acme/other"}], ids=str
)
async def test_who_is_not_let_in_does_not_come_up(change: Any, here: Surroundings) -> None:
    """A wrong key and a project that is none; neither is shown."""
    here.changes[SNIPARA] = change
    async with brought_up(here) as find:
        with pytest.raises(OneiricError, match=r"answered 401|no such project") as caught:
            await find(SNIPARA)

    assert TOKEN not in caught.value.render()


@pytest.mark.parametrize(
    "values",
    [
        {"api_key": ""},
        {"api_key": "s3cret key"},
        {"api_key": "s3cret\n"},
        {"api_key": KEY, "base_url": "http://api.snipara.com/s3cret"},
        {"api_key": KEY, "base_url": "https://me:s3cret@api.snipara.com"},
    ],
    ids=str,
)
def test_defect_validation_c2_settings_never_show_the_key(values: Any, case: object) -> None:
    """Neither refused ones nor good ones."""
    with pytest.raises(ValidationError) as caught:
        SniparaKnowledgeSettings(**values)
    good = SniparaKnowledgeSettings.model_validate({"api_key": KEY, "project": "p"})

    assert "s3cret" not in str(caught.value)
    assert TOKEN not in repr(good) + str(good) + good.model_dump_json()


@pytest.mark.parametrize(
    ("base_url", "endpoint"),
    [
        ("https://api.snipara.com/", "https://api.snipara.com/mcp/a%2Fb"),
        ("http://localhost:8000", "http://localhost:8000/mcp/a%2Fb"),
        ("http://localhost:8000/mcp/local", "http://localhost:8000/mcp/local"),
    ],
)
def test_an_endpoint_is_a_base_or_told_whole(base_url: str, endpoint: str, case: object) -> None:
    """As an open server shows it."""
    told = {"api_key": KEY, "project": "a/b", "base_url": base_url}

    assert SniparaKnowledgeSettings.model_validate(told).endpoint == endpoint
