"""What is too much, and what nothing can take: told before a run, in the lines that ask for it."""

from __future__ import annotations

import re

from tests.recipes.conftest import Desk
from tests.recipes.doors import compiled, wrong


def test_a_recipe_whose_plan_would_be_too_large_is_wrong_where_it_is(desk: Desk) -> None:
    """The line of the step that makes it so, and how much of it is that step's."""
    step = f"{{name: b, type: shell, run: [echo, {'x' * 200_000}], matrix: {{n: LIST}}}}"
    text = f"steps:\n  - {{name: a, type: shell, run: [ls]}}\n  - {step}\n"
    compiled(desk.write("r.yaml", text.replace("LIST", str(list(range(5))))))
    found = wrong(desk.write("r.yaml", text.replace("LIST", str(list(range(100))))))
    key, line, what = found[0]
    assert (key, line) == ("steps.1", 3)
    assert re.fullmatch(r"the plan takes 20\d+ bytes, more than 8388608: 20\d+ of them .*", what)


def test_what_no_program_can_be_given_is_told_before(desk: Desk) -> None:
    """Variables, arguments and names; each in its place."""
    path = desk.write(
        "r.yaml",
        """
        version: 2
        strict_keys: true
        env: {"A=B": c, N: "a\\0b"}
        steps:
          - {name: a, type: shell, run: [""], env: {"": x}}
          - {name: b, type: shell, run: [echo, "a\\0b"], args: ["\\0"]}
          - {name: c, type: shell, run: [ls], stdout: text, stdout_key: plain, outputs: [a.b_v1]}
          - {name: d, module: _own, function: Step}
        """,
    )
    assert sorted((key, what.partition(":")[0]) for key, _, what in wrong(path)) == [
        ("env.A=B", "no variable can have this name"),
        ("env.N", "it holds a NUL"),
        ("steps.0.env", "no variable can have this name"),
        ("steps.0.run.0", "it names no program"),
        ("steps.1.args.0", "it holds a NUL"),
        ("steps.1.run.1", "it holds a NUL"),
        ("steps.2.stdout_key", "plain is not among its outputs"),
        ("steps.2.stdout_key", "the key plain has no version, as numbers.stats_v1 has"),
        ("steps.3.module", "it can be no task"),
    ]


def test_matrices_that_unfold_without_measure_are_told_before_they_do(desk: Desk) -> None:
    """A short file may ask for millions of steps, or of steps that wait for others."""
    numbers = ", ".join(map(str, range(900)))
    matrix = f"type: shell, run: [ls], matrix: {{n: [{numbers}]}}"
    many = "".join(f"  - {{name: s{n}, {matrix}}}\n" for n in range(200))
    ((key, line, what),) = wrong(desk.write("r.yaml", f"version: 2\nsteps:\n{many}"))
    assert (key, line, what) == ("steps.11.matrix", 14, "with it there are more than 10000 steps")
    chain = "".join(f"  - {{name: s{n}, depends_on: [s{n - 1}], {matrix}}}\n" for n in range(1, 4))
    text = f"version: 2\nsteps:\n  - {{name: s0, {matrix}}}\n{chain}"
    ((key, line, what),) = wrong(desk.write("r.yaml", text))
    assert (key, line) == ("steps.2.matrix", 5)
    assert what.startswith("with it there are more than 1000000 pairs")
