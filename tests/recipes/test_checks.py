"""What is wrong with a recipe is told at once, with its lines, before any step is run."""

from __future__ import annotations

import pytest

from oneiric.errors import DocumentError, InvalidError, NotFoundError
from oneiric.recipes import RecipeError, run_recipe
from oneiric.recipes.reading import read_recipe
from tests.recipes.conftest import Desk
from tests.recipes.doors import compiled, wrong

STEP = "module: steps, function: Write, args: {key: a.n_v1}"


def test_defect_recipes_6_a_file_that_is_no_recipe_is_told_as_such(desk: Desk) -> None:
    """An empty file, a missing one, one without steps and one with a missing field."""
    with pytest.raises(DocumentError, match="empty"):
        read_recipe(desk.write("empty.yaml", ""))
    with pytest.raises(NotFoundError):
        read_recipe(desk.folder / "missing.yaml")
    with pytest.raises(InvalidError, match=r"\.yaml"):
        read_recipe(desk.write("notes.txt", "steps: []"))
    with pytest.raises(DocumentError, match="a table with steps"):
        read_recipe(desk.write("list.yaml", "- a"))
    for text in ("steps: []", "version: 2\nsteps: []", "test_meta: {}"):
        ((key, *_),) = wrong(desk.write("none.yaml", text))
        assert key == "steps"
    path = desk.write(
        "fields.yaml",
        f"""
        steps:
          - {{name: first, {STEP}}}
          - {{name: bare}}
          - {{name: half, module: steps}}
        """,
    )
    assert wrong(path) == [
        ("steps.1.module", 3, "a python step needs module"),
        ("steps.1.function", 3, "a python step needs function"),
        ("steps.2.function", 4, "a python step needs function"),
    ]


def test_defect_recipes_8_an_unknown_type_is_told_before_any_step_is_run(desk: Desk) -> None:
    """The step before it is not run."""
    path = desk.write(
        "r.yaml",
        """
        steps:
          - {idx: 1, name: first, module: steps, function: Touch, args: {path: touched}}
          - {idx: 2, name: second, type: perl}
        """,
    )
    desk.write(
        "steps.py",
        """
        import pathlib
        from oneiric.recipes import BaseScriptlet

        class Touch(BaseScriptlet):
            def run(self, ctx, params):
                pathlib.Path(params["path"]).touch()
        """,
    )
    with pytest.raises(RecipeError, match=r"r\.yaml:3: steps\.1\.type"):
        run_recipe(path, checkpoints=False)
    assert not (desk.folder / "touched").exists()


def test_defect_recipes_10_a_ring_an_unknown_step_and_a_double_are_told_apart(desk: Desk) -> None:
    """Each has words of its own; rings are printed."""
    path = desk.write(
        "r.yaml",
        f"""
        version: 2
        steps:
          - {{name: load, {STEP}}}
          - {{name: load, {STEP}}}
          - {{name: a, depends_on: [c], {STEP}}}
          - {{name: b, depends_on: [a], {STEP}}}
          - {{name: c, depends_on: [b, laod], {STEP}}}
          - {{name: self, needs: [self], {STEP}}}
        """,
    )
    assert sorted(wrong(path)) == [
        ("steps.1", 4, "there are two steps of the name load"),
        ("steps.2.depends_on", 5, "steps wait for each other: a -> c -> b -> a"),
        ("steps.4.depends_on", 7, "there is no step laod; did you mean load?"),
        ("steps.5.depends_on", 8, "steps wait for each other: self -> self"),
    ]


def test_each_type_has_fields_that_it_needs_and_fields_that_it_has_not(desk: Desk) -> None:
    """And fields that shut out each other."""
    path = desk.write(
        "r.yaml",
        """
        steps:
          - {name: sh, type: shell}
          - {name: web, type: http, module: steps}
          - {name: nested, type: recipe}
          - {name: ask, type: approve, retry: {max: 1}}
          - {name: both, type: shell, cmd: [ls], script: ls.sh, stdout: text}
          - {name: text, type: http, url: ftp://there, json: {}, body: x}
          - {name: py, module: "no module", function: a.b}
        """,
    )
    assert wrong(path) == [
        ("steps.0.run", 2, "a shell step needs run or script"),
        ("steps.1.module", 3, "a http step has no module"),
        ("steps.1.url", 3, "a http step needs url"),
        ("steps.2.recipe", 4, "a recipe step needs recipe"),
        ("steps.3.retry", 5, "a approve step has no retry"),
        ("steps.4.script", 6, "either run or script, not both"),
        ("steps.4.stdout", 6, "what is text needs a stdout_key to be kept under"),
        ("steps.5.body", 7, "either json or body, not both"),
        ("steps.5.url", 7, "it must begin with http:// or https://"),
        ("steps.6.module", 8, "it is no module such as package.module"),
        ("steps.6.function", 8, "it is no name of a class"),
    ]


def test_what_expressions_name_must_be_there(desk: Desk) -> None:
    """Roots, inputs, variables, secrets, members of the matrix, and steps that come before."""
    path = desk.write(
        "r.yaml",
        """
        version: 2
        inputs: {src: {}, token: {secret: true}}
        env: {HOME_DIR: there}
        secrets: [API_TOKEN]
        steps:
          - name: one
            module: steps
            function: Write
            args:
              a: "${{ input.src }}"
              b: "${{ inputs.source }}"
              c: "${{ env.HOME }}"
              d: "${{ secrets.API_TOKE }}"
              e: "${{ matrix.part }}"
              f: "${{ steps.two.output }}"
              g: "${{ steps.tree.output }}"
              h: "${{ inputs.src + 1 }}"
              i: "${{ inputs.src"
          - name: two
            needs: [one]
            matrix: {part: [x, y]}
            if: "${{ secrets.API_TOKEN == 'x' }}"
            module: steps
            function: Write
            args: {a: "${{ matrix.prt }}", b: "${{ steps.one.result }}"}
            success: {files_exist: ["${{ inputs.token }}"]}
          - {name: three, needs: [two], type: shell, run: ["${{ steps.two.output }}"]}
        """,
    )
    found = [(key, line, what.partition(";")[0]) for key, line, what in wrong(path)]
    assert found == [
        ("steps.0.args.a", 10, "there is no input"),
        ("steps.0.args.b", 11, "there is no inputs.source"),
        ("steps.0.args.c", 12, "there is no env.HOME"),
        ("steps.0.args.d", 13, "there is no secrets.API_TOKE"),
        ("steps.0.args.e", 14, "there is no matrix: the step has none"),
        ("steps.0.args.f", 15, "two is a matrix"),
        ("steps.0.args.g", 16, "there is no step tree"),
        ("steps.0.args.h", 17, "'inputs.src + 1': inputs.src + 1 is not in the language"),
        ("steps.0.args.i", 18, "'${{ inputs.src': a ${{ is never closed by }}"),
        ("steps.1.if", 22, "a condition may name no secret: what it says is kept"),
        ("steps.1.args.a", 25, "there is no matrix.prt"),
        ("steps.1.args.b", 25, "a step has output, state, error, not result"),
        ("steps.1.success.files_exist.0", 26, "no secret may be named here: it is kept"),
        ("steps.2.run.0", 27, "two is a matrix"),
    ]


def test_a_step_may_name_only_steps_that_it_waits_for(desk: Desk) -> None:
    """However far; final steps may name all others."""
    path = desk.write(
        "r.yaml",
        """
        version: 2
        steps:
          - {name: a, type: shell, run: [ls]}
          - {name: b, type: shell, run: [ls], needs: [a]}
          - {name: c, type: shell, run: ["${{ steps.a.output }}"], needs: [b]}
          - {name: d, type: shell, run: ["${{ steps.a.output }}"]}
        finally:
          - {name: e, type: shell, run: ["${{ steps.d.state }}"], if: always}
        """,
    )
    what = "it does not wait for a, so steps.a may not be there"
    assert wrong(path) == [("steps.3.run.0", 6, what)]


def test_final_steps_and_others_do_not_wait_for_each_other(desk: Desk) -> None:
    """Nor is anybody asked once a run has ended, nor does another step than these run always."""
    path = desk.write(
        "r.yaml",
        """
        version: 2
        steps:
          - {name: a, type: shell, run: [ls], needs: [cleanup]}
          - {name: b, type: shell, run: [ls], if: always}
        finally:
          - {name: cleanup, type: shell, run: [ls], needs: [a]}
          - {name: b, type: approve}
        """,
    )
    assert wrong(path) == [
        ("steps.0.depends_on", 3, "cleanup comes later: it stands under finally"),
        ("steps.1.if", 4, "always is a condition of steps under finally"),
        ("finally.0.depends_on", 6, "a has ended by then: it stands under steps"),
        ("finally.1", 7, "there are two steps of the name b"),
        ("finally.1.type", 7, "nobody can be asked under finally: the run has ended"),
    ]


def test_forms_durations_and_what_is_done_on_errors_are_checked_with_all_the_rest(
    desk: Desk,
) -> None:
    """A wrong value does not hide what is wrong elsewhere."""
    path = desk.write(
        "r.yaml",
        """
        version: 2
        steps:
          - {name: a, type: shell, run: [ls], on_error: ignore, timeout: soon}
          - {name: b, type: shell, run: [ls], retry: {max: 2, delay_sec: -1}, retires: 3}
          - {name: c, type: shell, run: [ls], needs: [d]}
          - {name: d, type: shell, run: [ls], needs: [c]}
          - {name: e, type: shell}
        """,
    )
    assert [(key, line) for key, line, _ in wrong(path)] == [
        ("steps.0.timeout", 3),
        ("steps.0.on_error", 3),
        ("steps.1.retires", 4),
        ("steps.1.retry.delay_sec", 4),
        ("steps.2.depends_on", 5),
        ("steps.4.run", 7),
    ]


def test_fields_that_nobody_knows_are_warned_of_in_version_1(desk: Desk) -> None:
    """In version 2 they are errors; a key may hold dots, or be of a list."""
    text = """
        version: {}
        a.b: {{c: 1}}
        notes: [1, 2]
        steps:
          - {{name: a, type: shell, run: [ls], retry: {{max: 1, dealy: 2}}, "": 1}}
        """
    recipe = compiled(desk.write("one.yaml", text.format(1))).recipe
    keys = ["a.b", "notes", "steps.0.retry.dealy", "steps.0."]
    assert sorted(each.key for each in recipe.warnings) == sorted(keys)
    told = wrong(desk.write("two.yaml", text.format(2)))
    assert sorted(key for key, *_ in told) == sorted(keys)


def test_steps_that_may_run_beside_each_other_do_not_write_the_same_key(desk: Desk) -> None:
    """Unless both say that the last one wins, or one waits for the other."""
    text = """
        version: 2
        {0}
        steps:
          - {{name: a, type: shell, run: [ls], outputs: [x.n_v1, y.n_v1]}}
          - {{name: b, type: shell, run: [ls], outputs: [x.n_v1]}}
          - {{name: c, type: shell, run: [ls], outputs: [y.n_v1, z.n_v1], needs: [a]}}
          - {{name: m, type: shell, run: [ls], outputs: [m.n_v1], matrix: {{n: [1, 2, 3]}}}}
        finally:
          - {{name: f, type: shell, run: [ls], outputs: [x.n_v1]}}
        """
    path = desk.write("r.yaml", text.format(""))
    of_matrix = "m.n_v1 is written by each member of its matrix, of which none waits for another"
    assert wrong(path) == [
        ("steps.1.outputs", 5, "x.n_v1 is written by a too, and neither waits for the other"),
        ("steps.3.outputs", 7, of_matrix),
    ]
    compiled(desk.write("last.yaml", text.format("defaults: {merge: last_write_wins}")))


@pytest.mark.parametrize("bad", ["/etc/passwd", "../x", "a/../../x", "out/x", "nul\\0x"])
def test_no_path_leads_out_of_the_folder(desk: Desk, bad: str) -> None:
    """Neither by its text nor by a link; `.` is the folder."""
    (desk.folder / "out").symlink_to(desk.folder.parent)
    path = desk.write(
        "r.yaml",
        f"""
        version: 2
        reports: [{{format: html, path: "{bad}"}}]
        steps:
          - name: a
            type: shell
            run: [ls]
            cwd: "{bad}"
            stdout_to: "{bad}"
            cache: {{inputs: ["{bad}"]}}
            success: {{files_exist: ["fine/x", "{bad}"], json_schema: {{k.n_v1: "{bad}"}}}}
          - {{name: b, type: recipe, recipe: "{bad}"}}
          - {{name: d, type: shell, run: [ls], cwd: .}}
        """,
    )
    assert sorted(key for key, *_ in wrong(path)) == [
        "reports.0.path",
        "steps.0.cache.inputs.0",
        "steps.0.cwd",
        "steps.0.stdout_to",
        "steps.0.success.files_exist.1",
        "steps.0.success.json_schema.k.n_v1",
        "steps.1.recipe",
    ]


def test_a_recipe_narrows_where_its_steps_read_and_write(desk: Desk) -> None:
    """Its own files, schemas and reports, may lie anywhere in the folder."""
    text = """
        version: 2
        allow: {{paths: [{0}]}}
        reports: [{{format: html, path: report.html}}]
        steps:
          - name: a
            type: shell
            run: [ls]
            cwd: data/in
            cache: {{inputs: [data/x.csv, "${{{{ env.A }}}}"]}}
            success: {{files_exist: [other/x], json_schema: {{k.n_v1: schemas/k.json}}}}
        env: {{A: "1"}}
        """
    told = [("steps.0.success.files_exist.0", 10, "other/x: it is in none of data")]
    assert wrong(desk.write("r.yaml", text.format("data"))) == told
    compiled(desk.write("r.yaml", text.format("./data, other/")))
    ((key, _, _),) = wrong(desk.write("r.yaml", text.format("data, ../other")))
    assert key == "allow.paths.1"


BOMB = "a: &a [x, x]\n" + "".join(
    f"{new}: &{new} [*{old}, *{old}, *{old}, *{old}]\n"
    for old, new in zip("abcdefghijklmnop", "bcdefghijklmnopq", strict=True)
)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (BOMB + "steps: []", "too-many-values"),
        ("a: &a x\nsteps: [" + "*a, " * 40 + "]", "too-many-aliases"),
        ("steps: " + "[" * 1_000 + "]" * 1_000, "too-deep"),
        ("steps: " + "[" * 200_000, "too-deep"),
        ("steps: []\nsteps: []", "duplicate-key"),
        ("timeout: .nan\nsteps: []", "not-finite"),
        ("steps: !!python/object/apply:os.system [ls]", "tag"),
        ("a: &a {b: *a}", "recursive-alias"),
        ("steps: []\n---\nsteps: []", "several-documents"),
        ("1: 2\nsteps: []", "key-not-text"),
        ("steps: [", "syntax"),
    ],
)
def test_hostile_documents_are_refused_each_by_its_name(desk: Desk, text: str, reason: str) -> None:
    """Before anything of them is used, and whatever their size when written out."""
    path = desk.folder / "r.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(DocumentError) as raised:
        read_recipe(path)
    assert raised.value.reason == reason


def test_a_recipe_is_a_mebibyte_long_at_most(desk: Desk) -> None:
    """One that is longer is not read."""
    path = desk.folder / "r.yaml"
    path.write_bytes(b"# " + b"x" * (1 << 20) + b"\nsteps: []\n")
    with pytest.raises(InvalidError, match="longer than 1048576 bytes"):
        read_recipe(path)


def test_keys_without_a_version_are_refused_where_keys_are_strict(desk: Desk) -> None:
    """Declared outputs are keys too, and no expression may stand in them."""
    path = desk.write(
        "r.yaml",
        """
        version: 2
        strict_keys: true
        env: {A: "${{ inputs.a }}"}
        steps:
          - {name: a, type: shell, run: [ls], outputs: [a.n_v1, loose, "${{ env.A }}_v1"]}
        """,
    )
    assert [key for key, *_ in wrong(path)] == [
        "env.A",
        "steps.0.outputs.1",
        "steps.0.outputs.2",
        "steps.0.outputs.2",
    ]


@pytest.mark.parametrize(
    ("matrix", "key"),
    [
        ("{n: []}", "steps.0.matrix.n"),
        ("{n: 3}", "steps.0.matrix.n"),
        ("{n: [[1]]}", "steps.0.matrix.n"),
        ("{fail_fast: true}", "steps.0.matrix"),
        ("{n: [1], exclude: [{n: 1}]}", "steps.0.matrix"),
        ("{n: [1], exclude: [{m: 1}]}", "steps.0.matrix.exclude.0"),
        ("{n: [1, 2], exclude: [{n: '1'}]}", "steps.0.matrix.exclude.0"),
        ("{n: [1, 2], exclude: [{n: true}]}", "steps.0.matrix.exclude.0"),
        ("{" + ", ".join(f"n{n}: [1, 2]" for n in range(10)) + "}", "steps.0.matrix"),
        ("{" + ", ".join(f"n{n}: [1, 2]" for n in range(60)) + "}", "steps.0.matrix"),
    ],
)
def test_a_matrix_has_values_and_not_too_many(desk: Desk, matrix: str, key: str) -> None:
    """Sixty names with two values each are refused as quickly as any."""
    text = f"version: 2\nsteps:\n- {{name: m, type: shell, run: [ls], matrix: {matrix}}}\n"
    ((found, _, _),) = wrong(desk.write("r.yaml", text))
    assert found == key


def test_members_of_a_matrix_have_names_of_bounded_length(desk: Desk) -> None:
    """Values that say nothing in a name, or make it too long, are counted instead."""
    axes = ", ".join(f"n{n}: [{'x' * 50}, {'y' * 50}]" for n in range(5))
    text = f"steps:\n- {{name: m, type: shell, run: [ls], matrix: {{{axes}}}}}\n"
    placed = compiled(desk.write("r.yaml", text)).placed
    assert len(placed) == 32
    assert max(map(len, placed)) <= 200
