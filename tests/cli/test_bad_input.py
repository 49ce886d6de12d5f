"""What cannot be meant ends in a line that says so, whichever command it is given to."""

from pathlib import Path

import pytest

from tests.cli.calls import Call

BAD = [
    (("explain", "adapter:nothing"), 6, "no-candidate"),
    (("swap", "adapter:nothing", "--provider", "x"), 6, "unknown-selection"),
    (("pause", "adapter:nothing"), 6, "not-found"),
    (("drain", "adapter:nothing"), 6, "not-found"),
    (("resume", "adapter:nothing"), 6, "not-found"),
    (("workflow", "run", "--workflow", "nothing"), 6, "no-candidate"),
    (("workflow", "run", "nothing", "--context", "[1]"), 2, "invalid"),
    (("workflow", "enqueue", "nothing"), 6, "no-candidate"),
    (("event", "emit", "--topic", "a b"), 2, "invalid"),
    (("event", "emit", "--topic", "a", "--payload", "{"), 2, "invalid-document"),
    (("action-invoke", "nothing"), 6, "no-candidate"),
    (("action-invoke", "workflow.notify", "--payload", "half"), 2, "invalid-document"),
    (("orchestrate", "--manifest", "missing.yaml"), 6, "not-found"),
    (("health", "--manifest", "missing.yaml"), 6, "not-found"),
    (("remote-sync", "--manifest", "missing.yaml"), 6, "not-found"),
    (("manifest", "pack", "--input", "missing.yaml", "--output", "x"), 6, "not-found"),
    (("manifest", "inspect", "plain"), 2, "invalid-document"),
    (("secrets", "rotate", "--keys", "nothing"), 6, "not-found"),
    (("--profile", "nothing", "orchestrate"), 2, "invalid-config"),
    (("load-test",), 2, "usage"),
]


@pytest.mark.parametrize(("words", "code", "error"), BAD, ids=lambda value: str(value)[:60])
def test_defect_oneiric_cli_bad_input_is_told_in_a_line(
    words: tuple[str, ...], code: int, error: str, call: Call, tmp_path: Path
) -> None:
    """Not in a traceback, with an exit code for its kind, and nothing is on stdout."""
    (tmp_path / "plain").write_text("{")
    ended, out, err = call(*words)

    assert (ended, out) == (code, "")
    told = [line for line in err.splitlines() if line.startswith("error[")]
    assert [line.partition(": ")[0] for line in told] == [f"error[{error}]"]
    assert "Traceback" not in err
