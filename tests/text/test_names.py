"""Names and words."""

from oneiric.text.names import NAME_LIMIT, is_name, words


def test_promise_r7_names_have_one_alphabet_and_a_limit() -> None:
    """Names match `[A-Za-z0-9][A-Za-z0-9._-]*` without `..`, up to 200 characters."""
    good = ["a", "Z", "0", "a.", "a.b", "a-b_c.9", "fastblocks.workflows.x", "a" * NAME_LIMIT]
    bad = [
        "",
        ".",
        "..",
        "a..",
        "_a",
        "a/b",
        "a\\b",
        "a\x00",
        "\uff41",
        "\u0663",
        "a" * (NAME_LIMIT + 1),
    ]

    assert [name for name in good if not is_name(name)] == []
    assert [name for name in bad if is_name(name)] == []
    assert not is_name(7)


def test_a_single_text_is_one_word() -> None:
    """Passing text where words are taken means one word, not its letters."""
    assert words("ttl") == frozenset({"ttl"})
    assert words(["ttl", "tags", "ttl"]) == frozenset({"ttl", "tags"})
    assert words(()) == frozenset()
