"""The commands about actions: what they print, where, and how they end."""

import json
from pathlib import Path

import pytest

from tests.cli.calls import Call

ABC = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


def test_describe_prints_the_schemas(call: Call) -> None:
    """For people and as one document; nothing is written."""
    code, out, err = call("action", "describe", "compression.hash")
    whole = json.loads(call("action", "describe", "compression.hash", "--json")[1])

    assert (code, err) == (0, "")
    assert out.startswith("action:compression.hash@builtin-hash\nReturn a digest; for passwords")
    assert (whole["schema"], whole["provider"]) == ("oneiric.action/1", "builtin-hash")
    assert whole["payload"]["properties"]["algorithm"]["enum"] == ["sha256", "sha512", "blake2b"]
    assert list(Path.cwd().iterdir()) == []


def test_invoke_prints_the_result(call: Call) -> None:
    """The result alone, or with who served it and where."""
    payload = ("--payload", '{"text": "abc"}')
    code, out, err = call("action-invoke", "compression.hash", *payload)
    whole = json.loads(call("action-invoke", "compression.hash", *payload, "--json")[1])

    assert (code, err, json.loads(out)["digest"]) == (0, "", ABC)
    assert whole == {
        "schema": "oneiric.action-result/1",
        "applied": "local",
        "ref": "action:compression.hash",
        "provider": "builtin-hash",
        "result": json.loads(out),
    }


def test_a_payload_may_stand_in_a_file(call: Call, tmp_path: Path) -> None:
    """Named after `@`; a provider may be asked for."""
    (tmp_path / "payload.json").write_text('{"message": "hi"}')

    code, out, _ = call(
        "action-invoke", "workflow.notify", "--payload", "@payload.json",
        "--provider", "builtin-workflow-notify",
    )  # fmt: skip

    assert (code, json.loads(out)["status"]) == (0, "logged")


def test_a_settings_file_reaches_the_action(call: Call, tmp_path: Path) -> None:
    """Under `[actions.provider_settings]`, by the provider's name."""
    (tmp_path / "oneiric.toml").write_text(
        "[actions.provider_settings.builtin-compression]\nmax_output_bytes = 3\n"
    )
    invoke = ("action-invoke", "compression.encode", "--payload")
    packed = json.loads(call(*invoke, '{"text": "long"}')[1])
    wrong = json.dumps({"mode": "decompress", "data": packed["data"]})

    assert call(*invoke, wrong)[0] == 2


@pytest.mark.parametrize(
    ("arguments", "code", "told"),
    [
        (("ghost.hash",), 6, "error[no-candidate]"),
        (("compression.hash", "--payload", "{"), 2, "error[invalid-document]: --payload:1"),
        (("compression.hash", "--payload", "@gone.json"), 6, "error[not-found]"),
        (("compression.hash", "--provider", "x"), 6, "error[no-candidate]"),
        (("adapter:cache",), 2, "error[invalid]: two domains were given"),
        (("http.fetch", "--payload", '{"url": "https://a.example"}'), 3, "error[forbidden-host]"),
        (
            ("compression.hash", "--payload", '{"algorithm": "md5", "x": 1}'),
            2,
            "error[invalid-payload]: the payload is wrong\n  payload.x: unknown key\n",
        ),
    ],
)
def test_what_is_wrong_is_told_with_its_exit_code(
    call: Call, arguments: tuple[str, ...], code: int, told: str
) -> None:
    """On stderr, or as JSON on stdout."""
    ended, out, err = call("action-invoke", *arguments)
    as_json = call("action-invoke", *arguments, "--json")

    assert (ended, out) == (code, "")
    assert err.startswith(told)
    assert json.loads(as_json[1])["error"]["code"] == told.partition("[")[2].partition("]")[0]


def test_the_demonstration_lists_actions_too(call: Call) -> None:
    """Beside what it brings itself."""
    code, out, _ = call("--demo", "list", "--domain", "action")

    assert code == 0
    assert "action:workflow.audit" in out
