"""Layers: later over earlier, and who wrote each value."""

from hypothesis import given
from hypothesis import strategies as st

from oneiric.config.layers import Layers, Table

TREES: st.SearchStrategy[Table] = st.recursive(
    st.dictionaries(st.sampled_from("abc"), st.integers() | st.lists(st.integers()), max_size=3),
    lambda inner: st.dictionaries(st.sampled_from("abc"), inner | st.integers(), max_size=3),
    max_leaves=10,
)


def leaves(table: Table, prefix: str = "") -> dict[str, object]:
    found: dict[str, object] = {}
    for key, value in table.items():
        if isinstance(value, dict):
            found |= leaves(value, f"{prefix}{key}.")
        else:
            found[f"{prefix}{key}"] = value
    return found


@given(st.lists(TREES, max_size=4))
def test_any_layers_give_each_leaf_the_value_and_origin_of_the_last_that_wrote_it(
    trees: list[Table],
) -> None:
    """The layer that is told as origin holds the value; later ones do not mention it."""
    layers = Layers()
    for number, tree in enumerate(trees):
        layers.lay(tree, lambda path, number=number: str(number))  # type: ignore[misc]

    for path, value in leaves(layers.values).items():
        origin = int(layers.origin(path))
        assert leaves(trees[origin])[path] == value
        assert not [tree for tree in trees[origin + 1 :] if path in leaves(tree)]


def test_a_key_with_dots_has_its_own_origin() -> None:
    """Component keys hold dots."""
    layers = Layers()
    layers.lay({"workflows": {"selections": {"a.b.c": "x"}}}, lambda path: f"<{path}>")

    assert layers.origin("workflows.selections.a.b.c") == "<workflows.selections.a.b.c>"


def test_what_nobody_wrote_is_a_default_placed_at_its_table() -> None:
    """`origin` tells who set it, `place` where it could be written."""
    layers = Layers()
    layers.lay({"app": {"tags": ["x"]}}, lambda path: f"<{path}>")

    assert (layers.origin("app.name"), layers.place("app.name")) == ("default", "<app>")
    assert (layers.origin("app.tags.0"), layers.place("zoo")) == ("<app.tags>", "default")


def test_the_layers_keep_no_hold_on_what_was_laid() -> None:
    """A table that is laid is not the table that grows."""
    first: Table = {"app": {"a": 1}}
    layers = Layers()
    layers.lay(first, str)
    layers.lay({"app": {"b": 2}}, str)

    assert first == {"app": {"a": 1}}
