"""Factories named by text: loaded only from under an allowed prefix."""

import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest

from oneiric.errors import ForbiddenFactoryError
from oneiric.targets import is_allowed, is_loaded, load, target_of

MODULES = {
    "acme_good/__init__.py": "",
    "acme_good/cache.py": """
        from functools import partial
        from subprocess import Popen
        from acme_evil import Backdoor
        from acme_good.deep import Inner

        class Cache:
            pass

        def make():
            return Cache()

        prepared = make
        ready = partial(partial(make), *())
        borrowed = partial(Popen, "ls")
        method = Popen.wait
        number = 7
        """,
    "acme_good/deep.py": "class Inner: pass",
    "acme_good_evil.py": "class Cache: pass",
    "acme_evil.py": "class Backdoor: pass",
    "acme_good/broken.py": "import a_module_that_does_not_exist",
}


@pytest.fixture(autouse=True)
def packages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Lay small packages on the path, and forget them afterwards."""
    for name, text in MODULES.items():
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(dedent(text))
    monkeypatch.syspath_prepend(str(tmp_path))
    yield
    for name in [name for name in sys.modules if name.startswith("acme_")]:
        del sys.modules[name]


def refusal(target: str, allowed: list[str]) -> dict[str, Any]:
    with pytest.raises(ForbiddenFactoryError) as caught:
        load(target, allowed)
    return dict(caught.value.details())


def test_a_factory_under_an_allowed_prefix_is_loaded() -> None:
    """A class, a function and what a neighbour module of the same package defines."""
    names = ["Cache", "make", "prepared", "Inner"]

    loaded: list[Callable[..., Any]] = [
        load(f"acme_good.cache:{name}", ["acme_good"]) for name in names
    ]

    assert [factory.__name__ for factory in loaded] == ["Cache", "make", "make", "Inner"]
    assert load("acme_good.cache:Cache", ["acme_good.cache"]) is loaded[0]


def test_a_module_outside_is_not_even_imported() -> None:
    """What may not be loaded does not run: a prefix ends at a dot."""
    assert refusal("acme_good_evil:Cache", ["acme_good"]) == {
        "target": "acme_good_evil:Cache",
        "reason": "acme_good_evil is under no allowed prefix",
        "allowed": ["acme_good"],
    }
    assert "acme_good_evil" not in sys.modules


def test_an_allowed_module_cannot_lend_out_what_it_imported() -> None:
    """The home of what is named must be allowed too."""
    homes = {
        "Popen": "subprocess",
        "Backdoor": "acme_evil",
        "borrowed": "subprocess",
        "method": "subprocess",
    }

    reasons = {name: refusal(f"acme_good.cache:{name}", ["acme_good"])["reason"] for name in homes}

    assert reasons == {
        name: f"{name} comes from {home}, under no allowed prefix" for name, home in homes.items()
    }


def test_a_partial_is_judged_by_what_it_completes() -> None:
    """However often it was wrapped."""
    loaded = load("acme_good.cache:ready", ["acme_good"])

    assert type(loaded()).__name__ == "Cache"


def test_a_callable_has_the_name_that_text_would_give_it() -> None:
    """Functions, classes, partials, methods, instances and builtins."""
    cache = load("acme_good.cache:Cache", ["acme_good"])

    assert [
        target_of(one)
        for one in (cache, partial(cache), cache().__init__, partial(map, len), len, "".join)
    ] == [
        "acme_good.cache:Cache",
        "acme_good.cache:Cache",
        "builtins:object.__init__",
        "builtins:map",
        "builtins:len",
        "builtins:str.join",
    ]


def test_what_cannot_be_called_is_refused() -> None:
    """A missing attribute and a plain value are refusals, not surprises later."""
    assert [
        refusal(f"acme_good.cache:{name}", ["acme_good"])["reason"]
        for name in ("missing", "number")
    ] == ["acme_good.cache has no callable missing", "acme_good.cache has no callable number"]


@pytest.mark.parametrize(
    "target", ["acme_good.cache", "acme_good.cache:Cache.mro", "", ":x", "a b:c"]
)
def test_text_of_another_form_is_refused(target: str) -> None:
    """Only `package.module:attr` is a target."""
    assert refusal(target, ["acme_good"])["reason"] == "it is not package.module:attr"


def test_a_module_that_cannot_be_imported_says_so() -> None:
    """The import's own error reaches the caller."""
    with pytest.raises(ImportError, match="a_module_that_does_not_exist"):
        load("acme_good.broken:Cache", ["acme_good"])


def test_nothing_is_allowed_without_a_prefix() -> None:
    """An empty list allows nothing, and no odd prefix allows everything."""
    assert refusal("acme_good.cache:Cache", [])["allowed"] == []
    assert not any(is_allowed("acme_good.cache", [odd]) for odd in ("", ".", "acme", "acme_good."))


def test_a_single_text_is_one_prefix() -> None:
    """Text given for the list of prefixes is not taken apart into letters."""
    assert load("acme_good.cache:Cache", "acme_good").__name__ == "Cache"
    with pytest.raises(ForbiddenFactoryError):
        load("acme_evil:Backdoor", "a")


def test_whether_loading_will_be_quick_is_known() -> None:
    """A module imported before needs no import."""
    before = is_loaded("acme_good.cache:Cache")
    load("acme_good.cache:Cache", ["acme_good"])

    assert (before, is_loaded("acme_good.cache:Cache")) == (False, True)


def test_a_refusal_says_how_to_allow() -> None:
    """The error has the exit code of a refusal, and a hint."""
    with pytest.raises(ForbiddenFactoryError) as caught:
        load("acme_evil:Backdoor", ["acme_good"])

    assert (caught.value.code, caught.value.exit_code) == ("forbidden-factory", 3)
    assert caught.value.hint == "add its package to [plugins] allowed_prefixes if you trust it"
