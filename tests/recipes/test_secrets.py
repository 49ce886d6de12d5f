"""Secrets of a recipe: filled in where a step is done, and seen nowhere else."""

from __future__ import annotations

import base64
import json
import sys
from contextlib import ExitStack
from pathlib import Path
from urllib.parse import quote

import pytest

from oneiric.recipes import Context, RecipeError, RecipeFailedError, run_recipe
from oneiric.recipes.secrets import MissingSecretsError
from oneiric.recipes.stderr import masked_stderr
from oneiric.recipes.stdout import parted
from oneiric.text.masking import Masking
from tests.recipes.conftest import Desk

SECRET = "hunter2/horse battery"
FORMS = (SECRET, base64.b64encode(SECRET.encode()).decode(), quote(SECRET, safe=""), quote(SECRET))
TALKER = """
import base64, json, sys
from urllib.parse import quote
from oneiric.recipes import BaseScriptlet, get_logger

class Talk(BaseScriptlet):
    def run(self, ctx, params):
        token = params["token"]
        for form in (token, base64.b64encode(token.encode()).decode(), quote(token, safe="")):
            print("out", form)
            print("err", form, file=sys.stderr)
            get_logger("talker").info("log %s", form)
        for character in token:
            sys.stderr.write(character)
        sys.stderr.write("\\n")
        if params.get("key"):
            ctx.set(params["key"], {"deep": [f"x{token}x"]}, who="talk")
        if params.get("fails"):
            raise ValueError(f"wrong: {token}")
        print(json.dumps({"status": "ok", "outputs": [], "token": token}))
        return 0
"""


@pytest.fixture(autouse=True)
def secret(monkeypatch: pytest.MonkeyPatch, desk: Desk) -> None:
    """A secret in the environment, and a scriptlet that tells it to everybody."""
    monkeypatch.setenv("ONEIRIC_SECRET_API_TOKEN", SECRET)
    desk.write("talker.py", TALKER)


def recipe(desk: Desk, *, more: str = "", args: str = "") -> Path:
    """A recipe with one talking step."""
    return desk.write(
        "r.yaml",
        f"""
        secrets: [API_TOKEN]
        steps:
          - name: talk
            module: talker
            function: Talk
            args: {{token: "${{{{ secrets.API_TOKEN }}}}"{args}}}
            {more}
        """,
    )


def kept(folder: Path) -> bytes:
    """Return all that is on disk below the folder's state."""
    files = [each for each in (folder / ".oneiric_cache").rglob("*") if each.is_file()]
    assert files
    return b"".join(each.read_bytes() for each in files)


@pytest.mark.parametrize("more", ["", "requires_process: true"])
@pytest.mark.parametrize("fails", ["", ", fails: true"])
def test_a_secret_is_in_nothing_that_a_scriptlet_says(
    desk: Desk, capfd: pytest.CaptureFixture[str], more: str, fails: str
) -> None:
    """Neither stdout, stderr, logs, the journal nor the error hold it, in any form."""
    said = ""
    try:
        run_recipe(recipe(desk, more=more, args=fails))
    except RecipeFailedError as error:
        said = f"{error}{json.dumps(error.as_json())}{error.run}"
    assert bool(said) is bool(fails)
    printed = capfd.readouterr()
    everything = said + printed.out + printed.err + kept(desk.folder).decode("latin-1")
    assert "out **********" in printed.err
    assert "err **********" in printed.err
    assert not [form for form in FORMS if form in everything]


def test_a_secret_is_in_nothing_that_a_command_says(
    desk: Desk, capfd: pytest.CaptureFixture[str]
) -> None:
    """It gets it by variable, argument or stdin; files that it is printed to hold none."""
    path = desk.write(
        "r.yaml",
        """
        secrets: [API_TOKEN]
        steps:
          - name: say
            type: shell
            run: [sh, -c, 'test "$TOKEN" = "$1" && cat && echo $TOKEN >&2', x]
            args: ["${{ secrets.API_TOKEN }}"]
            env: {TOKEN: "${{ secrets.API_TOKEN }}"}
            stdin: {text: "a ${{ secrets['API_TOKEN'] }} b\\n"}
            stdout_to: out.txt
        """,
    )
    run_recipe(path)
    printed = capfd.readouterr()
    assert (desk.folder / "out.txt").read_text() == "a ********** b\n"
    assert "say: **********" in printed.err
    everything = printed.out + printed.err + kept(desk.folder).decode("latin-1")
    assert not [form for form in FORMS if form in everything]


@pytest.mark.parametrize("more", ["", "requires_process: true"])
def test_each_line_of_a_secret_is_one(
    desk: Desk, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, more: str
) -> None:
    """A key of several lines is masked though they are told one by one."""
    monkeypatch.setenv("ONEIRIC_SECRET_API_TOKEN", "--KEY--\nMIIEpAIBAAKCAQEA\n--END--\n")
    run_recipe(recipe(desk, more=more))
    printed = capfd.readouterr()
    everything = printed.out + printed.err + kept(desk.folder).decode("latin-1")
    assert "MIIEpAIBAAKCAQEA" not in everything
    assert "out **********" in printed.err


@pytest.mark.parametrize("more", ["", "requires_process: true"])
def test_a_step_that_writes_a_secret_to_the_context_fails(desk: Desk, more: str) -> None:
    """It is refused rather than masked: a value that was changed unseen would be worse."""
    with pytest.raises(RecipeFailedError, match=r"what it wrote to a\.n_v1 holds a secret"):
        run_recipe(recipe(desk, more=more, args=", key: a.n_v1"), checkpoints=False)


def test_what_a_command_prints_of_a_secret_is_not_written_to_the_context(desk: Desk) -> None:
    """It is found in the output of programs too."""
    path = desk.write(
        "r.yaml",
        """
        secrets: [API_TOKEN]
        steps:
          - {name: say, type: shell, run: [echo, "${{ secrets.API_TOKEN }}"], stdout_key: a.t_v1}
        """,
    )
    with pytest.raises(RecipeFailedError) as raised:
        run_recipe(path, checkpoints=False)
    assert raised.value.run.steps["say"].error["code"] == "secret-shown"  # type: ignore[index]


def test_a_missing_secret_is_told_before_the_first_step(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All of them at once; nothing was run."""
    path = desk.write(
        "r.yaml",
        """
        secrets: [API_TOKEN, ONE, TWO]
        steps: [{name: s, type: shell, run: [touch, was-run]}]
        """,
    )
    with pytest.raises(MissingSecretsError, match="ONE, TWO"):
        run_recipe(path, checkpoints=False)
    assert not (desk.folder / "was-run").exists()


def test_a_secret_that_the_recipe_does_not_name_is_a_mistake(desk: Desk) -> None:
    """So is one that is more than filled in, and one that would decide what is kept."""
    for text in ("${{ secrets.OTHER }}", "${{ len(secrets.API_TOKEN) }}", "${{ secrets }}"):
        step = f'{{name: s, type: shell, run: [echo, "{text}"]}}'
        with pytest.raises(RecipeError):
            run_recipe(desk.write("r.yaml", f"secrets: [API_TOKEN]\nsteps: [{step}]"))


def test_a_value_that_looks_like_a_secret_is_never_read_as_one(desk: Desk) -> None:
    """Inputs, the context and texts beside a secret are filled in once, and not read again."""
    path = desk.write(
        "r.yaml",
        """
        secrets: [API_TOKEN]
        inputs: {who: {type: str, default: me}}
        steps:
          - name: write
            module: steps
            function: Write
            args: {key: a.n_v1, value: "${{ inputs.who }}"}
          - name: say
            type: shell
            run: [sh, -c, 'printf %s "$1"', x, "${{ ctx['a.n_v1'] }}"]
            env: {T: "${{ secrets.API_TOKEN }} ${{ inputs.who }} $${HOME}"}
            stdout_key: b.n_v1
          - name: env
            type: shell
            run: [sh, -c, 'printf %s "${T#hunter2/horse battery}"']
            env: {T: "${{ secrets.API_TOKEN }} ${{ inputs.who }} ${HOME}"}
            stdout_key: c.n_v1
        """,
    )
    sly = "${{ secrets.API_TOKEN }} ${ input.inputs.who }"
    context = run_recipe(path, {"who": sly}, checkpoints=False)
    assert context.to_dict() == {"a.n_v1": sly, "b.n_v1": sly, "c.n_v1": f" {sly} ${{HOME}}"}


def test_runs_that_overlap_mask_until_the_last_is_over(capsys: pytest.CaptureFixture[str]) -> None:
    """Whichever ends first; a line that has no end yet is masked too."""
    first, second = ExitStack(), ExitStack()
    first.enter_context(parted())
    second.enter_context(parted())
    first.close()
    with second, masked_stderr(Masking([SECRET])):
        sys.stderr.write(SECRET[:5])
        sys.stderr.write(SECRET[5:])
    sys.stderr.write("after\n")
    assert capsys.readouterr().err == "**********after\n"
    assert "Masked" not in type(sys.stderr).__name__


def test_a_variable_of_the_recipe_may_hold_a_secret(desk: Desk) -> None:
    """Programs get it; one that is not among the secrets is a mistake."""
    text = """
        secrets: [API_TOKEN]
        env: {T: "me:${{ secrets.NAME }}"}
        steps: [{name: s, type: shell, run: [sh, -c, 'test "$T" = "me:hunter2/horse battery"']}]
        """
    run_recipe(desk.write("r.yaml", text.replace("NAME", "API_TOKEN")), checkpoints=False)
    with pytest.raises(RecipeError, match="is wrong") as raised:
        run_recipe(desk.write("r.yaml", text.replace("NAME", "OTHER")), checkpoints=False)
    assert [each.key for each in raised.value.problems] == ["env.T"]


def test_secrets_come_from_a_file_where_that_is_chosen(desk: Desk) -> None:
    """Whoever keeps them can be replaced, as any component."""
    desk.write("keys.json", json.dumps({"API_TOKEN": "from-the-file"})).chmod(0o600)
    desk.write(
        "oneiric.toml",
        """
        [adapters.selections]
        secrets = "file"
        [adapters.provider_settings.file]
        path = "keys.json"
        """,
    )
    path = desk.write(
        "r.yaml",
        """
        secrets: [API_TOKEN]
        steps:
          - {name: s, type: shell, run: [test, "${{ secrets.API_TOKEN }}", "=", from-the-file]}
        """,
    )
    assert isinstance(run_recipe(path, checkpoints=False), Context)


def test_what_threads_of_a_step_say_is_masked_and_no_answer(
    desk: Desk, capfd: pytest.CaptureFixture[str]
) -> None:
    """They know nothing of the step that began them."""
    desk.write(
        "threaded.py",
        """
        import json, sys
        from concurrent.futures import ThreadPoolExecutor
        from oneiric.recipes import BaseScriptlet

        class Threaded(BaseScriptlet):
            def run(self, ctx, params):
                with ThreadPoolExecutor() as pool:
                    pool.submit(print, "out", params["token"]).result()
                    pool.submit(print, "err", params["token"], file=sys.stderr).result()
                print(json.dumps({"status": "ok", "outputs": []}))
                return 0
        """,
    )
    path = recipe(desk)
    path.write_text(path.read_text().replace("talker", "threaded").replace("Talk", "Threaded"))
    sys.stdout.write("before\n")
    run_recipe(path, checkpoints=False)
    sys.stdout.write("after\n")
    printed = capfd.readouterr()
    assert printed.out == "before\nafter\n"
    assert "out **********\n" in printed.err
    assert "err **********\n" in printed.err
    assert SECRET not in printed.err


def test_a_secret_is_given_only_to_secret_inputs_of_a_recipe_within(desk: Desk) -> None:
    """Others are kept in its journal: told before, or where it shows only in the run."""
    child = """
        inputs: {open: {default: ""}, hidden: {secret: true, default: ""}}
        steps: [{name: a, type: shell, run: ['true']}]
        """
    desk.write("child.yaml", child)
    text = """
        secrets: [API_TOKEN]
        inputs: {given: {default: ""}}
        steps:
          - {name: a, type: recipe, recipe: child.yaml, inputs: {WHAT}}
        """
    path = desk.write("r.yaml", text.replace("WHAT", 'open: "a ${{ secrets.API_TOKEN }}"'))
    with pytest.raises(RecipeError, match="does not say that open is secret"):
        run_recipe(path)
    path = desk.write("r.yaml", text.replace("WHAT", 'open: "${{ inputs.given }}"'))
    with pytest.raises(RecipeFailedError, match="would hold a secret"):
        run_recipe(path, {"given": f"x{SECRET}"})
    path = desk.write("r.yaml", text.replace("WHAT", 'hidden: "${{ secrets.API_TOKEN }}"'))
    run_recipe(path)
