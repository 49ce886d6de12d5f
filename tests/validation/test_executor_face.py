"""The command runner as the brief's users know it."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from oneiric.errors import InvalidError
from oneiric.validation.executor import Executor
from oneiric.validation.models import Task, ValidationCriteria


def write(folder: Path, name: str, text: str) -> None:
    """Put a program there that can be run."""
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(0o755)


async def test_a_command_is_run_and_told_of(tmp_path: Path) -> None:
    """With what it said, how it ended, and how long it took."""
    executor = Executor(working_dir=str(tmp_path))
    good = await executor.run_command("sh -c 'echo out; echo err >&2; pwd'")
    bad = await executor.run_command(["sh", "-c", "exit 3"])
    none = await executor.run_command("no-such-program --password hunter2")
    assert (good.success, good.return_code) == (True, 0)
    assert (good.stdout, good.stderr) == (f"out\n{tmp_path}\n", "err\n")
    assert good.duration_ms > 0
    assert (bool(bad), bad.return_code) == (False, 3)
    assert (none.return_code, "no-such-program" in none.stderr) == (127, True)
    assert "hunter2" not in none.command


async def test_defect_validation_b1_a_command_ends_with_its_time_and_so_do_its_children(
    tmp_path: Path,
) -> None:
    """What it said until then is kept."""
    begun = time.monotonic()
    result = await Executor(tmp_path).run_command(
        ["sh", "-c", "echo begun; sleep 60 & sleep 60"], timeout=0.5
    )
    assert time.monotonic() - begun < 30
    assert (result.success, result.return_code, result.stdout) == (False, -1, "begun\n")
    assert "took too long" in result.stderr


@pytest.mark.parametrize("timeout", [0, -1])
async def test_defect_validation_b2_no_time_is_no_limit(tmp_path: Path, timeout: float) -> None:
    """It is refused, and not taken for the usual one."""
    with pytest.raises(InvalidError, match="seconds above zero"):
        await Executor(tmp_path).run_command("true", timeout=timeout)
    with pytest.raises(InvalidError, match="seconds above zero"):
        Executor(tmp_path, timeout=timeout)


async def test_defect_validation_b3_of_long_output_the_end_is_kept(tmp_path: Path) -> None:
    """However much it is."""
    script = "i=0; while [ $i -lt 40000 ]; do echo line-$i-xxxxx; i=$((i+1)); done"
    result = await Executor(tmp_path).run_command(["sh", "-c", script])
    assert result.success
    assert len(result.stdout) <= 256 << 10
    assert result.stdout.endswith("line-39999-xxxxx\n")


async def test_defect_validation_b4_a_command_reads_nothing(tmp_path: Path) -> None:
    """It is at the end of its input at once."""
    result = await Executor(tmp_path).run_command(["sh", "-c", "cat; echo done"], timeout=60)
    assert (result.success, result.stdout) == (True, "done\n")


async def test_defect_validation_c4_a_command_sees_few_variables(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """None that this process has, but for the usual ones and those it was given."""
    monkeypatch.setenv("SNIPARA_API_KEY", "snp-sekrit")
    executor = Executor(tmp_path, env={"OURS": "1"})
    result = await executor.run_command("env")
    assert "snp-sekrit" not in result.stdout
    assert "OURS=1" in result.stdout


async def test_defect_validation_a8_an_unknown_deployment_provider_is_an_error(
    tmp_path: Path,
) -> None:
    """Nothing is run; one that is configured is told what it deploys."""
    executor = Executor(tmp_path, deployments={"ours": ["echo", "{service}", "{environment}"]})
    with pytest.raises(InvalidError, match="nobody deploys by infomaniak_vps"):
        await executor.run_deployment("api", provider="infomaniak_vps")
    with pytest.raises(InvalidError, match="name the provider"):
        await executor.run_deployment("api")
    done = await executor.run_deployment("api", provider="ours")
    assert done.stdout == "api production\n"


async def test_defect_validation_b16_a_tool_that_is_not_there_is_not_the_last_word(
    tmp_path: Path,
) -> None:
    """A script that `package.json` does not have is not run, and the next tool is tried."""
    executor = Executor(tmp_path, env={"PATH": f"{tmp_path}/bin:/usr/bin:/bin"})
    none = await executor.run_lint()
    assert (none.success, none.return_code) == (False, 127)
    (tmp_path / "package.json").write_text('{"scripts": {"test": "true"}}')
    (tmp_path / "pyproject.toml").write_text("")
    write(tmp_path, "bin/ruff", "#!/bin/sh\necho ruff $@\n")
    write(tmp_path, "bin/mypy", "#!/bin/sh\nexit 1\n")
    write(tmp_path, "bin/pnpm", "#!/bin/sh\necho pnpm $@ $SKIP_ENV_VALIDATION\n")
    linted = await executor.run_lint()
    typed = await executor.run_typecheck()
    (tmp_path / "package.json").write_text('{"scripts": {"lint": "x", "build": "x"}}')
    (tmp_path / "pnpm-lock.yaml").write_text("")
    scripted = await executor.run_lint()
    built = await executor.run_build()
    assert (linted.success, linted.stdout) == (True, "ruff check .\n")
    assert (typed.success, typed.return_code) == (False, 1)
    assert scripted.stdout == "pnpm run lint\n"
    assert built.stdout == "pnpm run build 1\n"


async def test_prerequisites_are_told_each_for_itself(tmp_path: Path) -> None:
    """Whether the program can be run here."""
    found = await Executor(tmp_path).check_prerequisites(["sh", "no-such-program"])
    assert found["no-such-program"] is False
    assert found["sh"] is True


async def test_defect_validation_a9_local_tests_are_run_and_none_is_no_pass(
    tmp_path: Path,
) -> None:
    """All of them, to the last, with a proof of each."""
    executor = Executor(tmp_path)

    def given(*tests: str) -> Task:
        criteria = ValidationCriteria.model_validate({"local_tests": tests})
        return Task(id="t", title="T", criteria=criteria)

    passed, message = await executor.run_local_tests(given("true"))
    assert (passed, message) == (True, "1 passed")
    failed = await executor.run_local_tests(given("false", "true", "no-such-program"))
    assert not failed
    assert [str(proof.outcome) for proof in failed.proofs] == ["fail", "pass", "inconclusive"]
    assert failed.message.startswith("false: ended with exit code 1; no-such-program: ")
    assert not await executor.run_local_tests(given())
