"""Offers: what they hold, what no registry would take, and that nothing is copied."""

import threading
from collections.abc import Callable
from functools import partial
from operator import setitem
from typing import Any

import pytest

from oneiric.core.candidate import CODE, Candidate, Source, SourceKind
from oneiric.errors import InvalidCandidateError
from oneiric.targets import is_target

PLUGIN = Source(SourceKind.PLUGIN, "acme-cache", version="2.1", detail="acme.plugin:PLUGIN")


class LockedFactory:
    """A factory that cannot be copied, since it holds a lock."""

    def __init__(self) -> None:
        self.lock = threading.Lock()

    def __call__(self) -> object:
        return object()


def test_an_offer_needs_a_place_a_provider_and_a_factory() -> None:
    """Everything else has a default that changes nothing."""
    offer = Candidate("adapter:cache", "memory", dict)

    assert (offer.ref, offer.provider, offer.offer) == (
        "adapter:cache",
        "memory",
        "adapter:cache@memory",
    )
    assert (offer.stack, offer.stack_level, offer.priority, offer.source) == ("", 0, 0, CODE)
    assert (dict(offer.requires), offer.capabilities, offer.conflicts_with) == ({}, frozenset(), ())
    assert (offer.os_platform, offer.python_version, offer.unavailable) == ((), "", "")
    assert (dict(offer.metadata), offer.version, offer.blocking) == ({}, "", False)


def test_equal_offers_are_equal_and_hash_alike() -> None:
    """Two offers with the same content are the same offer; any difference tells them apart."""

    def make(**changes: Any) -> Candidate:
        return Candidate("adapter:cache", "memory", dict, metadata={"a": [1]}, **changes)

    assert make() == make()
    assert hash(make()) == hash(make())
    assert make(priority=1) != make()
    assert make(requires={"x": "adapter:x"}) != make()


def test_a_single_text_stands_for_a_list_of_one() -> None:
    """Where several texts are taken, one text is not taken apart into letters."""
    offer = Candidate(
        "adapter:cache",
        "memory",
        dict,
        capabilities="ttl",
        os_platform="linux",
        conflicts_with="adapter:store",
    )

    assert offer.capabilities == frozenset({"ttl"})
    assert offer.os_platform == ("linux",)
    assert offer.conflicts_with == ("adapter:store",)


def test_systems_keep_the_order_in_which_they_were_given() -> None:
    """The same offer written twice is equal, whatever the hash seed."""
    systems = ["macos", "linux", "windows", "freebsd14"]

    assert Candidate("adapter:c", "p", dict, os_platform=systems).os_platform == tuple(systems)


def test_promise_r1_the_stack_defaults_to_the_name_of_the_source() -> None:
    """A candidate's stack is its distribution's or manifest's name unless it names one."""
    bare = Candidate("adapter:cache", "memory", dict)
    named = Candidate("adapter:cache", "memory", dict, stack="site")

    assert bare.sourced(PLUGIN).stack == "acme-cache"
    assert bare.sourced(PLUGIN).sourced(Source(SourceKind.MANIFEST, "m")).stack == "m"
    assert named.sourced(PLUGIN).stack == "site"
    assert bare.stack == ""


def test_sourcing_changes_nothing_but_source_and_stack() -> None:
    """The offer of a plugin is the offer that its package wrote."""
    offer = Candidate(
        "adapter:cache",
        "memory",
        dict,
        requires={"store": "adapter:store@disk"},
        capabilities={"ttl"},
        priority=3,
        version="1",
        metadata={"a": 1},
    )

    sourced = offer.sourced(PLUGIN)

    assert sourced == Candidate(
        "adapter:cache",
        "memory",
        dict,
        requires={"store": "adapter:store@disk"},
        capabilities={"ttl"},
        priority=3,
        version="1",
        metadata={"a": 1},
        source=PLUGIN,
    )


def test_a_source_is_told_by_kind_and_name() -> None:
    """Version, detail and signature are told to people and do not tell sources apart."""
    unsigned = Source(SourceKind.MANIFEST, "acme", version="3", signed=False)

    assert (CODE.id, PLUGIN.id, unsigned.id) == ("code", "plugin:acme-cache", "manifest:acme")
    assert [str(s) for s in (CODE, PLUGIN, unsigned)] == [
        "code",
        "plugin:acme-cache 2.1",
        "manifest:acme 3 (unsigned)",
    ]
    assert Source(SourceKind.MANIFEST, "acme") == unsigned


def test_promise_r8_an_offer_keeps_the_very_objects_it_was_given() -> None:
    """What the caller passed is neither copied nor changed, even what cannot be copied."""
    factory: Any = LockedFactory()
    lock: Any = threading.Lock()
    metadata: dict[str, Any] = {"lock": lock}
    requires = {"store": "adapter:store"}

    offer = Candidate("adapter:cache", "m", factory, metadata=metadata, requires=requires)

    assert offer.factory is factory
    assert offer.metadata["lock"] is lock
    assert (metadata, requires) == ({"lock": lock}, {"store": "adapter:store"})


def test_promise_r8_an_offer_cannot_be_changed() -> None:
    """Neither its fields nor its tables can be written to."""
    offer = Candidate(
        "adapter:cache", "m", dict, metadata={"a": 1}, requires={"store": "adapter:store"}
    )
    tables: list[Any] = [offer.metadata, offer.requires]
    attempts: list[Callable[[], object]] = [
        partial(setattr, offer, "priority", 5),
        *(partial(setitem, table, "a", 2) for table in tables),
    ]

    for attempt in attempts:
        with pytest.raises((AttributeError, TypeError)):
            attempt()

    assert (offer.priority, dict(offer.metadata), dict(offer.requires)) == (
        0,
        {"a": 1},
        {"store": "adapter:store"},
    )


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"ref": "adapter:"}, "'adapter:' is not a reference: '' is no name"),
        ({"ref": "adapter:../../x"}, "'adapter:../../x' is not a reference: '../../x' is no name"),
        ({"ref": "cache"}, "'cache' is not a reference: it has no colon"),
        ({"ref": "adapter:c@d"}, "a candidate fills a place, so its ref has no @provider"),
        ({"provider": ""}, "'' is no name"),
        ({"provider": "a/b"}, "'a/b' is no name"),
        ({"provider": None}, "None is no name"),
        ({"stack": "a..b"}, "'a..b' is no name"),
        ({"capabilities": ["t t l"]}, "'t t l' is no name"),
        ({"capabilities": [1]}, "1 is no name"),
        ({"os_platform": [1]}, "1 is no name"),
        ({"requires": {"x": "nope"}}, "'nope' is not a reference: it has no colon"),
        ({"conflicts_with": ["nope"]}, "'nope' is not a reference: it has no colon"),
        ({"priority": 1.5}, "priority must be an integer, not 1.5"),
        ({"priority": True}, "priority must be an integer, not True"),
        ({"priority": "7"}, "priority must be an integer, not '7'"),
        ({"priority": 2**53 + 1}, "priority lies beyond ±2^53"),
        ({"stack_level": 1.0}, "stack_level must be an integer, not 1.0"),
        ({"stack_level": -(2**53) - 1}, "stack_level lies beyond ±2^53"),
        (
            {"python_version": "3.11+"},
            "python_version: '3.11+' is no version clause such as >=3.11",
        ),
        ({"python_version": 3.11}, "python_version: it is float, not text"),
        ({"version": 2}, "version must be text, not 2"),
        ({"unavailable": True}, "unavailable must be text, not True"),
        ({"factory": 5}, "its factory is int, not callable"),
        ({"factory": "os.path"}, "factory 'os.path' is not package.module:attr"),
    ],
)
def test_promise_r7_a_malformed_offer_is_refused_naming_its_origin(
    changes: dict[str, Any], reason: str
) -> None:
    """Whatever is wrong, the error names the offer, the reason and where it came from."""
    fields: dict[str, Any] = {"ref": "adapter:cache", "provider": "p", "factory": dict, **changes}

    with pytest.raises(InvalidCandidateError) as caught:
        Candidate(**fields, source=PLUGIN)

    assert caught.value.details() == {
        "offer": f"{fields['ref']}@{fields['provider']}",
        "reason": reason,
        "origin": "plugin:acme-cache 2.1",
    }


def test_the_largest_ranks_are_taken() -> None:
    """What JSON can say exactly is in range."""
    offer = Candidate("adapter:c", "p", dict, priority=2**53, stack_level=-(2**53))

    assert (offer.priority, offer.stack_level) == (2**53, -(2**53))


@pytest.mark.parametrize(
    ("text", "fits"),
    [
        ("package:attr", True),
        ("package.module:Attr", True),
        ("package.module", False),
        ("package.module:", False),
        (":attr", False),
        ("package..module:attr", False),
        ("package.module:attr.inner", False),
        ("package.module:attr()", False),
        ("package/module:attr", False),
        ("package.module:attr:b", False),
        ("package.module:attr\n", False),
    ],
)
def test_a_target_is_one_attribute_of_one_module(text: str, fits: bool) -> None:
    """Text names a factory only as `package.module:attr`."""
    assert is_target(text) is fits
