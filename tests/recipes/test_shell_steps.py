"""Steps that are commands: real programs, which get and say no more than the recipe lets them."""

from __future__ import annotations

import pytest

from oneiric.recipes import Context, RecipeFailedError, run_recipe
from oneiric.recipes.errors import RecipeRefusedError
from tests.contract.test_executor import is_alive
from tests.recipes.conftest import Desk


def ran(desk: Desk, text: str) -> Context:
    """Run a recipe in memory and return its context."""
    return run_recipe(desk.write("r.yaml", text), checkpoints=False)


def refusal(desk: Desk, text: str) -> RecipeFailedError:
    """Return the error with which a recipe ends."""
    with pytest.raises(RecipeFailedError) as raised:
        ran(desk, text)
    return raised.value


def test_a_command_is_a_list_that_no_shell_reads(desk: Desk) -> None:
    """What a shell would take for more than a word is a word."""
    context = ran(
        desk,
        """
        steps:
          - name: say
            type: shell
            run: [echo, "$HOME; `id` > x"]
            stdout: text
            stdout_key: a.t_v1
        """,
    )
    assert context.get("a.t_v1") == "$HOME; `id` > x"
    assert [(each.who, each.step) for each in context.history] == [("say", "say")]


def test_the_last_line_of_json_is_the_only_one_and_an_envelope(desk: Desk) -> None:
    """It is kept if the step says where; prose before it is nothing to the contract."""
    context = ran(
        desk,
        """
        steps:
          - name: say
            type: shell
            run: [printf, 'hello\\n{"status":"ok","n":3}\\n']
            stdout: json
            stdout_key: a.said_v1
        """,
    )
    assert context.get("a.said_v1") == {"status": "ok", "n": 3}


@pytest.mark.parametrize("said", ["hello", "", '{"n": 3}', '{"status":"ok"}\\n{"status":"ok"}'])
def test_a_command_that_must_say_json_and_does_not_has_failed(desk: Desk, said: str) -> None:
    """No line, another line, and two lines are no envelope."""
    error = refusal(
        desk, f"steps: [{{name: say, type: shell, run: [printf, '{said}'], stdout: json}}]"
    )
    assert "stdout_contract" in str(error)


def test_an_envelope_of_failure_fails_the_step_whatever_the_exit_code(desk: Desk) -> None:
    """The reason is the one that it gives."""
    text = """
        steps:
          - name: say
            type: shell
            run: [echo, '{"status":"error","reason":"no luck","exit_code":4,"step":"say"}']
        """
    error = refusal(desk, text)
    assert error.run.steps["say"].error["code"] == "exit-4"  # type: ignore[index]
    assert "no luck" in str(error)


def test_defect_recipes_15_a_command_gets_few_variables_and_those_of_the_recipe(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing else is handed on; values of the context have the name of their key."""
    monkeypatch.setenv("PRIVATE_THING", "x")
    context = ran(
        desk,
        """
        env: {COLOUR: red, SHAPE: round}
        steps:
          - {name: write, module: steps, function: Write, args: {key: a.n_v1, value: {n: [1]}}}
          - name: say
            type: shell
            run: [env]
            env: {SHAPE: "${{ ctx['a.n_v1'].n }}"}
            shell_env_keys: [a.n_v1]
            stdout_key: a.env_v1
        """,
    )
    found = dict(line.split("=", 1) for line in str(context.get("a.env_v1")).splitlines())
    assert found["COLOUR"] == "red"
    assert found["SHAPE"] == "[1]"
    assert found["CTX_A_N_V1"] == '{"n":[1]}'
    assert "PRIVATE_THING" not in found
    assert "PATH" in found


def test_what_a_command_reads_is_a_text_or_a_value_of_the_context(desk: Desk) -> None:
    """A text comes as it is, anything else as JSON; without either there is nothing to read."""
    context = ran(
        desk,
        """
        steps:
          - {name: w1, module: steps, function: Write, args: {key: a.t_v1, value: "x\\ny"}}
          - {name: w2, module: steps, function: Write, args: {key: a.n_v1, value: [1, {b: c}]}}
          - {name: c1, type: shell, run: [cat], stdin: {ctx: a.t_v1}, stdout_key: b.t_v1}
          - {name: c2, type: shell, run: [cat], stdin_from_ctx: a.n_v1, stdout_to_ctx: b.n_v1}
          - {name: c3, type: shell, run: [cat], stdin: {text: hello}, stdout_key: b.u_v1}
          - {name: c4, type: shell, run: [cat], stdout_key: b.e_v1}
        """,
    )
    keys = ("b.t_v1", "b.n_v1", "b.u_v1", "b.e_v1")
    assert [context.get(key) for key in keys] == ["x\ny", '[1,{"b":"c"}]', "hello", ""]


def test_a_text_for_a_shell_needs_the_recipe_and_the_host(desk: Desk) -> None:
    """Either alone allows none."""
    text = (
        "{allow}\nsteps: [{{name: say, type: shell, run: 'echo a | tr a b', stdout_key: a.t_v1}}]"
    )
    config = "[recipes]\nallow_shell = true\n"
    with pytest.raises(RecipeRefusedError, match="text for a shell is not allowed here"):
        ran(desk, text.format(allow="allow: {shell: true}"))
    desk.write("oneiric.toml", config)
    with pytest.raises(RecipeRefusedError):
        ran(desk, text.format(allow="allow: {shell: false}"))
    assert ran(desk, text.format(allow="allow: {shell: true}")).get("a.t_v1") == "b"


def test_a_script_gets_its_arguments(desk: Desk) -> None:
    """One that may not be run itself is run by what its ending says."""
    desk.write("tools/s.sh", 'echo "$1-$2"\n')
    context = ran(
        desk,
        """
        steps:
          - {name: s, type: shell, script: tools/s.sh, args: [a, "b c"], stdout_key: a.t_v1}
        """,
    )
    assert context.get("a.t_v1") == "a-b c"


@pytest.mark.parametrize(
    "field", ["cwd: ../", "cwd: /tmp", "stdout_to: ../x", "script: ../x.sh", "cwd: out"]
)
def test_a_path_out_of_the_folder_is_refused(desk: Desk, field: str) -> None:
    """By `..`, from the root and by a link."""
    (desk.folder / "out").symlink_to("/tmp")
    with pytest.raises(Exception, match=r"\.\.|outside|absolute|lead|out"):
        ran(desk, f"steps: [{{name: say, type: shell, run: ['true'], {field}}}]")


def test_a_path_is_narrowed_by_the_recipe(desk: Desk) -> None:
    """Only what lies below `allow.paths` can be named."""
    text = "allow: {paths: [data]}\nsteps: [{name: s, type: shell, run: [pwd], cwd: CWD}]"
    (desk.folder / "data" / "sub").mkdir(parents=True)
    ran(desk, text.replace("CWD", "data/sub"))
    with pytest.raises(Exception, match=r"allow\.paths|none of"):
        ran(desk, text.replace("CWD", "."))


def test_what_is_printed_goes_to_a_file_when_all_went_well(desk: Desk) -> None:
    """A failure leaves an earlier file as it was, and nothing else."""
    text = "steps: [{name: s, type: shell, run: [sh, -c, 'echo a; exit EXIT'], stdout_to: d/o.txt}]"
    ran(desk, text.replace("EXIT", "0"))
    refusal(desk, text.replace("EXIT", "1").replace("echo a", "echo b"))
    assert [(each.name, each.read_text()) for each in (desk.folder / "d").iterdir()] == [
        ("o.txt", "a\n")
    ]


def test_a_file_that_cannot_be_written_fails_the_step(desk: Desk) -> None:
    """A file stands where a folder should be."""
    desk.write("d", "")
    error = refusal(desk, "steps: [{name: s, type: shell, run: ['true'], stdout_to: d/o.txt}]")
    assert "d/o.txt cannot be written" in str(error)


def test_only_named_exit_codes_are_success(desk: Desk) -> None:
    """Others fail, with the code and the last line of stderr."""
    text = "steps: [{name: s, type: shell, run: [sh, -c, 'echo oh >&2; exit 3'] SUCCESS}]"
    ran(desk, text.replace("SUCCESS", ", success: {exit_codes: [0, 3]}"))
    error = refusal(desk, text.replace("SUCCESS", ""))
    assert error.run.steps["s"].error["code"] == "exit-3"  # type: ignore[index]
    assert "it ended with exit code 3: oh" in str(error)


def test_defect_recipes_15_stderr_is_told_under_the_steps_name(
    desk: Desk, capsys: pytest.CaptureFixture[str]
) -> None:
    """It never mixes with stdout."""
    ran(desk, "steps: [{name: s, type: shell, run: [sh, -c, 'echo one >&2; echo two']}]")
    said = capsys.readouterr()
    assert "s: one" in said.err
    assert "one" not in said.out


def test_an_exit_code_can_be_a_cause_for_another_try(desk: Desk) -> None:
    """Another code is none."""
    desk.write("s.sh", 'echo x >> tries; test "$(wc -l < tries)" -ge 3 || exit $1\n')
    text = """
        steps:
          - name: s
            type: shell
            script: s.sh
            args: ["CODE"]
            retry: {max: 5, on: ["exit:75"]}
        """
    ran(desk, text.replace("CODE", "75"))
    assert len((desk.folder / "tries").read_text().split()) == 3
    (desk.folder / "tries").unlink()
    refusal(desk, text.replace("CODE", "1"))
    assert len((desk.folder / "tries").read_text().split()) == 1


def test_defect_recipes_15_a_step_that_takes_too_long_is_dead_when_it_has_failed(
    desk: Desk,
) -> None:
    """So is what it started, whether that heeds signals or not; a retry may know it by its name."""
    desk.write(
        "s.sh", "trap '' TERM\nsleep 600 & echo $! >> pids; echo $$ >> pids; wait; sleep 600\n"
    )
    text = """
        steps:
          - {name: s, type: shell, script: s.sh, timeout: 500ms, retry: {max: 1, on: [timeout]}}
        """
    error = refusal(desk, text)
    assert error.run.steps["s"].error["code"] == "timeout"  # type: ignore[index]
    pids = [int(each) for each in (desk.folder / "pids").read_text().split()]
    assert len(pids) == 4
    assert not [pid for pid in pids if is_alive(pid)]


def test_a_command_is_dead_when_its_run_timed_out(desk: Desk) -> None:
    """Nothing is left behind when the program of the recipe is over."""
    desk.write("s.sh", "trap '' TERM\necho $$ >> pids\nwhile :; do sleep 1; done\n")
    error = refusal(desk, "timeout: 1s\nsteps: [{name: s, type: shell, script: s.sh}]")
    assert error.run.state == "failed"
    assert not [p for p in (desk.folder / "pids").read_text().split() if is_alive(int(p))]


def test_the_recipes_own_files_may_lie_beside_what_it_allows_in_a_run_too(desk: Desk) -> None:
    """A script and a schema are the recipe's; what an expression names is confined as they are."""
    desk.write("data/x", "")
    desk.write("run.sh", 'echo \'{"status": "ok"}\'')
    desk.write("n.json", '{"type": "integer"}')
    text = """
        inputs: {script: {default: run.sh}}
        allow: {paths: [data]}
        steps:
          - {name: s, type: shell, script: "${{ inputs.script }}", cwd: data}
          - name: w
            module: steps
            function: Write
            args: {key: a.n_v1, value: 3}
            success: {json_schema: {a.n_v1: n.json}}
        """
    path = desk.write("r.yaml", text)
    assert run_recipe(path, checkpoints=False).to_dict() == {"a.n_v1": 3}
    (desk.folder / "out").symlink_to("/bin")
    for script in ("/bin/ls", "../x.sh", "out/ls"):
        with pytest.raises(RecipeFailedError):
            run_recipe(path, {"script": script}, checkpoints=False)
