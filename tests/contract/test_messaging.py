"""Every messenger keeps what the port `Messenger` promises; then each its own."""

import asyncio
import logging
import time
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from aiohttp import web
from pydantic import ValidationError

from oneiric.adapters.messaging.slack import SlackMessengerSettings
from oneiric.adapters.messaging.teams import TeamsMessengerSettings
from oneiric.adapters.messaging.webhook import WebhookMessengerSettings
from oneiric.errors import ConfigError, InvalidError, OneiricError
from oneiric.ports import (
    AdapterError,
    ConflictError,
    InvalidRequestError,
    Messenger,
    NotFoundError,
    NotificationMessage,
    PermissionDeniedError,
    RateLimitedError,
    SendResult,
    UnavailableError,
)
from tests.contract.cases import CASES, Find, ProviderCase, Surroundings, brought_up, for_each
from tests.contract.chat import KEY, SECRET, TOKEN, Chat, is_signed
from tests.servers import free_port

LOG, SLACK, TEAMS, WEBHOOK = (
    f"adapter:messaging@{name}" for name in ("log", "slack", "teams", "webhook")
)
MESSAGE = NotificationMessage(
    id="019b76da-a800-7000-8000-000000000001",
    text="Deploy *ready*",
    title="Fulfilment",
    target="deploys",
    level="warning",
    context={"region": "eu", "orders": [1, 2], "late": False},
    at="2026-05-04T10:11:12.131415Z",
)


def only(offer: str) -> pytest.MarkDecorator:
    """Run a test for one provider."""
    name = offer.partition(":")[2]
    return pytest.mark.parametrize("case", [CASES[offer]], ids=[name], indirect=True)


@pytest.fixture
async def messenger(case: ProviderCase, component: Find) -> Messenger:
    """The messenger of the case, whose receiver is the double."""
    found: Messenger = await component(case.offer)
    return found


@pytest.fixture
def heard() -> Iterator[list[logging.LogRecord]]:
    """What the logger of messages says, whoever configured the loggers above it."""
    logger, records = logging.getLogger("oneiric.notifications"), []

    class Keep(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            records.append(record)

    keep = Keep()
    logger.addHandler(keep)
    logger.setLevel(logging.DEBUG)
    yield records
    logger.removeHandler(keep)
    logger.setLevel(logging.NOTSET)


def name_of(case: ProviderCase) -> str:
    return case.offer.partition("@")[2]


@for_each("messaging")
async def test_a_message_arrives_and_the_result_says_with_whom(
    case: ProviderCase, messenger: Messenger
) -> None:
    """By the provider's name, with an id, and the status where somebody was called."""
    result = await messenger.send_notification(MESSAGE)

    assert (result.provider, result.message_id != "") == (name_of(case), True)
    assert (result.status_code is None) == (name_of(case) == "log")


@for_each("messaging")
@pytest.mark.parametrize(
    "message",
    [
        NotificationMessage(id="1", text="x"),
        replace(MESSAGE, text="<!channel> <@U1> & <https://a.example|click> </p>"),
        replace(MESSAGE, text="&<>" * 1_500, title="t" * 150),
        replace(MESSAGE, text="line\n\n" * 1_500 + " "),
        replace(MESSAGE, context={f"fact {n}": "<v>" * 60 for n in range(50)}),
        replace(MESSAGE, context={"<n>" * 100: {"deep": [None, {"ä": "😀" * 400}]}, "e": ""}),
        replace(MESSAGE, text="🚀 ünïcode \u202e right to left"),
    ],
    ids=["short", "markup", "escapes", "lines", "facts", "odd facts", "unicode"],
)
async def test_any_message_within_the_limits_has_a_shape_that_is_taken(
    message: NotificationMessage, messenger: Messenger, chat: Chat
) -> None:
    """The doubles check every request against the published formats."""
    await messenger.send_notification(message)

    assert chat.problems == []


async def test_every_message_is_bounded_for_all_providers() -> None:
    """What would be refused by one is refused before any is asked."""
    for wrong in (
        {"text": " \n"},
        {"text": "x" * 20_001},
        {"title": "t" * 151},
        {"title": "two\nlines"},
        {"target": "a\x1b[2J"},
        {"id": ""},
        {"context": {str(n): n for n in range(51)}},
    ):
        with pytest.raises(InvalidError):
            replace(MESSAGE, **wrong)


@for_each(server="chat")
@pytest.mark.parametrize(
    ("status", "error", "requests"),
    [
        (302, AdapterError, 1),
        (400, InvalidRequestError, 1),
        (401, PermissionDeniedError, 1),
        (403, PermissionDeniedError, 1),
        (404, NotFoundError, 1),
        (410, NotFoundError, 1),
        (409, ConflictError, 1),
        (413, InvalidRequestError, 1),
        (429, RateLimitedError, 3),
        (500, UnavailableError, 3),
        (503, UnavailableError, 3),
    ],
)
async def test_what_is_refused_is_an_error_of_the_port_and_shows_no_secret(
    status: int,
    error: type[AdapterError],
    requests: int,
    messenger: Messenger,
    chat: Chat,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """What may succeed later is tried three times, what never will once; no path is shown."""
    caplog.set_level(logging.DEBUG)
    headers = {"Location": f"http://127.0.0.1:{chat.port}/elsewhere"} if status == 302 else {}
    chat.answers = [web.Response(status=status, headers=headers, text=TOKEN) for _ in range(3)]

    with pytest.raises(error) as caught:
        await messenger.send_notification(MESSAGE)

    assert type(caught.value) is error
    assert len(chat.received) == requests
    shown = f"{caught.value.render()} {caught.value.as_json()} {caught.value!r} {caplog.text}"
    assert TOKEN not in shown
    assert SECRET not in shown


@for_each(server="chat")
async def test_what_failed_for_now_is_sent_again_as_the_same_message(
    messenger: Messenger, chat: Chat
) -> None:
    """A receiver that was down and then too busy gets the message in the end."""
    busy = web.Response(status=429, headers={"Retry-After": "0"})
    chat.answers = [web.Response(status=502), busy]

    result = await messenger.send_notification(MESSAGE)

    assert (result.status_code or 0) in (200, 202, 204)
    assert len({each.content for each in chat.received}) == 1
    assert len(chat.received) == 3
    assert chat.problems == []


@for_each(server="chat")
async def test_a_receiver_that_asks_for_long_patience_is_left_alone(
    messenger: Messenger, chat: Chat
) -> None:
    """The error says how long it asked for, at once."""
    chat.answers = [web.Response(status=429, headers={"Retry-After": "3600"})]

    began = time.monotonic()
    with pytest.raises(RateLimitedError) as caught:
        await messenger.send_notification(MESSAGE)

    assert caught.value.retry_after == 3600
    assert len(chat.received) == 1
    assert time.monotonic() - began < 30


@for_each(server="chat")
async def test_a_receiver_that_is_gone_is_unhealthy_and_unavailable(
    case: ProviderCase, messenger: Messenger, here: Surroundings, chat: Chat
) -> None:
    """Health does not raise, a call fails in the port's words, and neither shows the path."""
    assert bool(await messenger.health())  # type: ignore[attr-defined]
    here.http_port = free_port()
    async with brought_up(here) as find:
        with pytest.raises(OneiricError) as caught:
            await find(case.offer)

    assert TOKEN not in caught.value.render()
    assert "127.0.0.1" in caught.value.render()


@for_each(server="chat")
async def test_a_hundred_messages_at_once(messenger: Messenger, chat: Chat) -> None:
    """Each arrives once."""
    messages = [replace(MESSAGE, id=str(n), text=f"message {n}.") for n in range(100)]

    async with asyncio.timeout(30):
        await asyncio.gather(*map(messenger.send_notification, messages))

    arrived = b"".join(each.content for each in chat.received)
    assert len(chat.received) == 100
    assert all(f"message {n}.".encode() in arrived for n in range(100))


@only(LOG)
async def test_the_log_has_all_of_a_message_but_its_secrets(
    messenger: Messenger, heard: list[logging.LogRecord]
) -> None:
    """One event at the message's level; what is secret by its name is masked."""
    result = await messenger.send_notification(replace(MESSAGE, context={"token": TOKEN, "n": 1}))

    (record,) = heard
    said = record.getMessage()
    assert record.levelname == "WARNING"
    assert result == SendResult(message_id=MESSAGE.id, provider="log")
    assert all(part in said for part in ("Deploy *ready*", "Fulfilment", "deploys"))
    assert TOKEN not in said


@only(LOG)
@pytest.mark.parametrize(
    ("level", "least", "logged"),
    [("info", "warning", "WARNING"), ("info", "debug", "INFO"), ("error", "warning", "ERROR")],
)
async def test_a_log_that_says_little_says_messages(
    level: str,
    least: str,
    logged: str,
    case: ProviderCase,
    here: Surroundings,
    heard: list[logging.LogRecord],
) -> None:
    """What is less serious than the least level is logged at that, with its own severity."""
    here.changes[LOG] = {"least_level": least}
    async with brought_up(here) as find:
        message = replace(MESSAGE, level=level)  # type: ignore[arg-type]
        await (await find(case.offer)).send_notification(message)

    (record,) = heard
    assert (record.levelname, f"'severity': '{level}'" in record.getMessage()) == (logged, True)


@only(LOG)
async def test_a_log_that_leaves_messages_out_does_not_take_them(
    messenger: Messenger, heard: list[logging.LogRecord]
) -> None:
    """No message is lost in silence."""
    logging.getLogger("oneiric.notifications").setLevel(logging.ERROR)

    with pytest.raises(UnavailableError, match="leaves out"):
        await messenger.send_notification(MESSAGE)

    assert heard == []


@only(WEBHOOK)
async def test_a_webhook_is_signed_so_that_nothing_can_be_changed(
    messenger: Messenger, chat: Chat
) -> None:
    """The signature covers id, time and body, by the key that both know."""
    await messenger.send_notification(MESSAGE)

    (got,) = chat.received
    assert got.body == {
        "type": "notification",
        "timestamp": MESSAGE.at,
        "data": {
            "id": MESSAGE.id,
            "text": MESSAGE.text,
            "title": "Fulfilment",
            "target": "deploys",
            "level": "warning",
            "context": {"region": "eu", "orders": [1, 2], "late": False},
        },
    }
    assert got.fields["webhook-id"] == MESSAGE.id
    assert is_signed(got, KEY)
    assert not is_signed(got, KEY + b"x")
    assert not is_signed(got, KEY, content=got.content.replace(b"ready", b"never"))
    got.fields["webhook-id"] = "another"
    assert not is_signed(got, KEY)


@only(WEBHOOK)
@pytest.mark.parametrize(("secret", "key"), [("plain text", b"plain text"), (SECRET, KEY)])
async def test_a_secret_is_plain_or_base64(
    secret: str, key: bytes, case: ProviderCase, here: Surroundings, chat: Chat
) -> None:
    """What follows `whsec_` is base64."""
    here.changes[WEBHOOK] = {"secret": secret, "method": "PUT"}
    async with brought_up(here) as find:
        chat.answers = [web.Response(status=200)]
        await (await find(case.offer)).send_notification(MESSAGE)

    assert is_signed(chat.received[0], key)


@only(WEBHOOK)
async def test_without_a_secret_nothing_is_signed(
    case: ProviderCase, here: Surroundings, chat: Chat
) -> None:
    """The id is there all the same, and header fields of the settings are sent."""
    here.changes[WEBHOOK] = {"secret": None}
    async with brought_up(here) as find:
        await (await find(case.offer)).send_notification(MESSAGE)

    fields = chat.received[0].fields
    assert "webhook-signature" not in fields
    assert (fields["webhook-id"], fields["x-api-key"]) == (MESSAGE.id, TOKEN)


@only(TEAMS)
async def test_teams_gets_an_adaptive_card(messenger: Messenger, chat: Chat) -> None:
    """In the envelope of a Workflows webhook; `MessageCard` is retired."""
    result = await messenger.send_notification(replace(MESSAGE, extra_payload={"lang": "en"}))

    (attachment,) = chat.received[0].body["attachments"]
    card = attachment["content"]
    assert result == SendResult(message_id=MESSAGE.id, provider="teams", status_code=202)
    assert (card["type"], card["lang"]) == ("AdaptiveCard", "en")
    assert [each.get("text", each.get("facts")) for each in card["body"]] == [
        "Fulfilment",
        "Deploy *ready*",
        [
            {"title": "region", "value": "eu"},
            {"title": "orders", "value": "[1,2]"},
            {"title": "late", "value": "false"},
        ],
        "deploys · warning · 2026-05-04T10:11:12.131415Z",
    ]


@only(TEAMS)
async def test_a_card_that_teams_would_drop_is_never_sent(messenger: Messenger, chat: Chat) -> None:
    """The limit of Teams is 28 KiB, in bytes."""
    with pytest.raises(InvalidRequestError, match="28672 bytes"):
        await messenger.send_notification(replace(MESSAGE, text="ü" * 20_000))

    assert chat.received == []


@only(SLACK)
async def test_slack_gets_blocks_and_a_text_to_fall_back_to(
    messenger: Messenger, chat: Chat
) -> None:
    """The id is Slack's own; the channel is the target, else the default one."""
    result = await messenger.send_notification(
        replace(MESSAGE, text="a < b", extra_payload={"unfurl_links": False})
    )
    await messenger.send_notification(replace(MESSAGE, target=""))

    first, second = (each.body for each in chat.received)
    assert result == SendResult(message_id="1700000000.000100", provider="slack", status_code=200)
    assert (first["channel"], second["channel"]) == ("deploys", "general")
    assert (first["text"], first["unfurl_links"]) == ("Fulfilment: a &lt; b", False)
    assert [each["type"] for each in first["blocks"]] == ["header", "section", "section", "context"]
    assert first["blocks"][2]["fields"][1]["text"] == "*orders*\n[1,2]"


@only(SLACK)
@pytest.mark.parametrize(
    ("code", "error", "requests"),
    [
        ("invalid_auth", PermissionDeniedError, 1),
        ("not_in_channel", PermissionDeniedError, 1),
        ("channel_not_found", NotFoundError, 1),
        ("is_archived", InvalidRequestError, 1),
        ("ratelimited", RateLimitedError, 3),
        ("internal_error", UnavailableError, 3),
        ("\x1b[2J " + TOKEN, AdapterError, 1),
    ],
)
async def test_slack_says_no_with_status_200(
    code: str, error: type[AdapterError], requests: int, messenger: Messenger, chat: Chat
) -> None:
    """`ok: false` is an error of its meaning; what is no code of Slack's is not repeated."""
    chat.answers = [web.json_response({"ok": False, "error": code}) for _ in range(3)]

    with pytest.raises(error) as caught:
        await messenger.send_notification(MESSAGE)

    assert (type(caught.value), len(chat.received)) == (error, requests)
    assert TOKEN not in caught.value.render()


@only(SLACK)
@pytest.mark.parametrize("answer", [b"<html>", b"[]", b'{"ok": "yes"}'])
async def test_an_answer_that_is_not_slacks_is_no_success(
    answer: bytes, messenger: Messenger, chat: Chat
) -> None:
    """Such as a proxy's page with status 200."""
    chat.answers = [web.Response(body=answer)]

    with pytest.raises(AdapterError):
        await messenger.send_notification(MESSAGE)


@only(SLACK)
async def test_a_token_that_slack_refuses_is_unhealthy(
    case: ProviderCase, here: Surroundings
) -> None:
    """So it never comes up, and the reason is told without the token."""
    here.changes[SLACK] = {"token": "xoxb-wrong"}
    async with brought_up(here) as find:
        with pytest.raises(OneiricError, match="invalid_auth") as caught:
            await find(case.offer)

    assert "xoxb-wrong" not in caught.value.render()


@only(SLACK)
async def test_a_message_for_no_channel_is_not_sent(
    case: ProviderCase, here: Surroundings, chat: Chat
) -> None:
    """Without a default channel a target is needed."""
    here.changes[SLACK] = {"default_channel": ""}
    async with brought_up(here) as find:
        with pytest.raises(InvalidRequestError, match="names no channel"):
            await (await find(case.offer)).send_notification(replace(MESSAGE, target=""))

    assert chat.received == []


@pytest.mark.parametrize(
    ("model", "values"),
    [
        (WebhookMessengerSettings, {"url": "http://hooks.example.com/s3cret"}),
        (WebhookMessengerSettings, {"url": "https://me:s3cret@hooks.example.com/"}),
        (WebhookMessengerSettings, {"url": "https://h.example/", "secret": "whsec_s3cret!"}),
        (WebhookMessengerSettings, {"url": "https://h.example/", "secret": "whsec_"}),
        (TeamsMessengerSettings, {"webhook_url": "ftp://s3cret"}),
        (SlackMessengerSettings, {"token": ""}),
        (SlackMessengerSettings, {"token": "t", "base_url": "http://slack.com/s3cret"}),
    ],
)
def test_settings_that_would_give_a_secret_away_are_refused_unseen(
    model: Any, values: dict[str, str]
) -> None:
    """Plain HTTP to another machine, credentials in an address, a key that is none."""
    with pytest.raises(ValidationError) as caught:
        model(**values)

    assert "s3cret" not in str(caught.value)


async def test_settings_that_are_missing_are_told_by_their_names(tmp_path: Any) -> None:
    """As for every provider, before anything is sent."""
    here = Surroundings(tmp_path)
    here.changes[SLACK] = {"tokn": "x"}
    async with brought_up(here) as find:
        with pytest.raises(ConfigError) as caught:
            await find(SLACK)

    assert "did you mean token" in str(caught.value.lines())
