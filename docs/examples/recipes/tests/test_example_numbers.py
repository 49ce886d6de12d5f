"""The example recipe, whole, and a scriptlet that is given a missing file."""

from oneiric.recipes import Context, run_recipe


def test_example_numbers():
    """The recipe runs, and its context holds what the step wrote."""
    ctx = run_recipe("orchestrator/recipes/example_numbers.yaml", checkpoints=False)
    assert ctx.get("numbers.stats_v1")["count"] == 6


def test_compute_numbers_missing_file(tmp_path):
    """A missing file ends in 1, and nothing is written."""
    from orchestrator.scriptlets.python.steps.compute_numbers import ComputeNumbers

    ctx = Context()
    code = ComputeNumbers().run(ctx, {"src": str(tmp_path / "missing.csv")})
    assert code == 1
    assert ctx.get("numbers.stats_v1") is None
