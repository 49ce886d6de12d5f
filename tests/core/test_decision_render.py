"""How a decision is shown to a person and to a program."""

import json
import re

import pytest

from oneiric.core.candidate import Candidate, Source, SourceKind
from oneiric.core.decision import Reason, Rejection
from oneiric.core.precedence import Selection, StackOrder
from oneiric.core.resolver import Assumption, Resolver

CACHE = "adapter:cache"
UNSIGNED = Source(SourceKind.MANIFEST, "acme", version="3", signed=False)
ESCAPE = re.compile(r"\x1b\[[0-9;]*m")


@pytest.fixture
def resolver() -> Resolver:
    """Offers with every kind of standing, a selection and one that it outranks."""
    resolver = Resolver()
    resolver.register(Candidate(CACHE, "memory", dict, priority=10, version="1.2"))
    resolver.register(Candidate(CACHE, "redis", dict, capabilities=["ttl", "cluster"]))
    resolver.register(Candidate(CACHE, "multitier", dict, unavailable="install oneiric[redis]"))
    resolver.register(Candidate(CACHE, "tape", dict, source=UNSIGNED, capabilities="ttl"))
    resolver.configure(
        stacks=StackOrder.parse("base,acme:5", origin="ONEIRIC_STACK_ORDER"),
        selections=[Selection.of(CACHE, "memory", origin="oneiric.toml:7")],
    )
    resolver.select(Selection.of(CACHE, "redis", origin="swap by ada"))
    note = "the cluster moves to another rack and comes back when all shards are in step"
    resolver.exclude(f"{CACHE}@memory", Rejection(Reason.PAUSED, f"paused: {note}"))
    return resolver


AT_40 = """\
adapter:cache
  selected  redis
    selected by swap by ada
  shadowed  tape from manifest:acme 3 (unsigned)
    swap by ada selects another
  rejected  memory
    paused: the cluster moves to another
    rack and comes back when all shards
    are in step
  rejected  multitier
    install oneiric[redis]
  note: outranks memory from
  oneiric.toml:7"""

AT_80 = """\
adapter:cache
  selected  redis                                 selected by swap by ada
  shadowed  tape from manifest:acme 3 (unsigned)  swap by ada selects another
  rejected  memory                                paused: the cluster moves to
                                                  another rack and comes back
                                                  when all shards are in step
  rejected  multitier                             install oneiric[redis]
  note: outranks memory from oneiric.toml:7"""

AT_120 = """\
adapter:cache
  selected  redis                                 selected by swap by ada
  shadowed  tape from manifest:acme 3 (unsigned)  swap by ada selects another
  rejected  memory                                paused: the cluster moves to another rack and \
comes back when all
                                                  shards are in step
  rejected  multitier                             install oneiric[redis]
  note: outranks memory from oneiric.toml:7"""

NUMBER = {"value": 0, "origin": "default"}
AS_JSON = {
    "schema": "oneiric.decision/1",
    "ref": "adapter:cache",
    "needs": ["ttl"],
    "winner": "redis",
    "rule": "selection",
    "selection": {"provider": "redis", "origin": "swap by ada"},
    "overridden": {"provider": "memory", "origin": "oneiric.toml:7"},
    "problem": None,
    "warning": "",
    "generation": 7,
    "standings": [
        {
            "provider": "redis",
            "standing": "selected",
            "why": "selected by swap by ada",
            "rule": "selection",
            "value": 1,
            "against": 0,
            "rejection": None,
            "stack": "",
            "stack_level": NUMBER,
            "priority": NUMBER,
            "sequence": 2,
            "tied": False,
            "version": "",
            "source": "code",
            "capabilities": ["cluster", "ttl"],
        },
        {
            "provider": "tape",
            "standing": "shadowed",
            "why": "swap by ada selects another",
            "rule": "selection",
            "value": 0,
            "against": 1,
            "rejection": None,
            "stack": "acme",
            "stack_level": {"value": 5, "origin": "ONEIRIC_STACK_ORDER"},
            "priority": NUMBER,
            "sequence": 4,
            "tied": False,
            "version": "",
            "source": "manifest:acme 3 (unsigned)",
            "capabilities": ["ttl"],
        },
        {
            "provider": "memory",
            "standing": "rejected",
            "why": "lacks ttl",
            "rule": None,
            "value": None,
            "against": None,
            "rejection": "capability",
            "stack": "",
            "stack_level": NUMBER,
            "priority": {"value": 10, "origin": "code"},
            "sequence": 1,
            "tied": False,
            "version": "1.2",
            "source": "code",
            "capabilities": [],
        },
        {
            "provider": "multitier",
            "standing": "rejected",
            "why": "install oneiric[redis]",
            "rule": None,
            "value": None,
            "against": None,
            "rejection": "unavailable",
            "stack": "",
            "stack_level": NUMBER,
            "priority": NUMBER,
            "sequence": 3,
            "tied": False,
            "version": "",
            "source": "code",
            "capabilities": [],
        },
    ],
}


def test_reasons_fit_the_narrowest_page(resolver: Resolver) -> None:
    """At 20 columns, and as if at 20 below, only names may be wider."""
    shown = resolver.explain(CACHE).render(width=20)

    heads = ("  selected", "  shadowed", "  rejected")
    assert max(len(line) for line in shown.splitlines() if not line.startswith(heads)) <= 20
    assert resolver.explain(CACHE).render(width=3) == shown


@pytest.mark.parametrize("width", [20, 40, 60, 80, 200])
def test_a_difference_fits_the_page(width: int) -> None:
    """The reasons are wrapped below their candidate, and no word of them is lost."""
    resolver = Resolver()
    for name in ("memory", "redis"):
        resolver.register(Candidate(CACHE, name, dict))
    assumed = resolver.explain(CACHE, assume=Assumption(withdraw=(f"{CACHE}@redis",)))
    diff = resolver.explain(CACHE).diff(assumed)

    head, *lines = diff.render(width=width).splitlines()
    assert head == f"{CACHE}  redis -> memory"
    assert max(map(len, lines)) <= width
    assert [line.split() for line in diff.render(width=200).splitlines()[1:]] == [
        str(change).split() for change in diff.changes
    ]
    assert " ".join(lines).split() == [w for change in diff.changes for w in str(change).split()]


@pytest.mark.parametrize(("width", "text"), [(40, AT_40), (80, AT_80), (120, AT_120)])
def test_reasons_fit_the_page(resolver: Resolver, width: int, text: str) -> None:
    """Reasons stand in a column beside the names, or below them where the page is narrow."""
    assert resolver.explain(CACHE).render(width=width) == text


def test_the_usual_page_has_80_columns(resolver: Resolver) -> None:
    """Without a width, 80 columns and no colour."""
    assert resolver.explain(CACHE).render() == AT_80


def test_colour_is_for_those_who_ask(resolver: Resolver) -> None:
    """With colour each line says by its colour how its candidate stands; letters stay."""
    painted = resolver.explain(CACHE).render(colour=True)

    assert ESCAPE.sub("", painted) == AT_80
    assert [ESCAPE.findall(line) for line in painted.splitlines()] == [
        ["\x1b[1m", "\x1b[0m"],
        ["\x1b[32m", "\x1b[0m"],
        ["\x1b[2m", "\x1b[0m"],
        ["\x1b[33m", "\x1b[0m"],
        ["\x1b[2m", "\x1b[0m"],
        ["\x1b[2m", "\x1b[0m"],
        ["\x1b[33m", "\x1b[0m"],
        [],
    ]


def test_what_offers_say_cannot_steer_a_terminal() -> None:
    """Control characters of a reason are shown as question marks, line breaks as spaces."""
    resolver = Resolver()
    resolver.register(Candidate(CACHE, "a", dict, unavailable="a\x1b[31mb\r\nc\u202ed"))

    assert resolver.explain(CACHE).render().splitlines()[1] == "  rejected  a  a?[31mb c?d"


def test_a_name_of_any_length_leaves_its_reason_readable() -> None:
    """A name that fills the page stands alone on its line; only it may be too wide."""
    resolver = Resolver()
    name = "n" * 60
    resolver.register(Candidate(CACHE, name, dict))

    assert resolver.explain(CACHE).render(width=60).splitlines() == [
        "adapter:cache",
        f"  selected  {name}",
        "    the only candidate",
    ]


def test_offers_of_one_provider_are_told_apart() -> None:
    """Two sources of one provider are named; a single one is not."""
    resolver = Resolver()
    for source in (Source(), Source(SourceKind.PLUGIN, "plug", version="2")):
        resolver.register(Candidate(CACHE, "redis", dict, source=source))
    resolver.register(Candidate(CACHE, "memory", dict))

    assert resolver.explain(CACHE).render() == (
        "adapter:cache\n"
        "  selected  memory                    latest registration\n"
        "  shadowed  redis from plugin:plug 2  registered before memory\n"
        "  shadowed  redis from code           registered before memory"
    )


def test_a_place_without_offers_is_shown() -> None:
    """The problem and what to do about it stand below."""
    resolver = Resolver()
    resolver.register(Candidate(CACHE, "redis", dict))

    assert resolver.explain("adapter:cahce").render() == (
        "adapter:cahce\n"
        "  no candidate is registered\n"
        "  problem: no candidate is registered for adapter:cahce\n"
        "  hint: did you mean adapter:cache?"
    )
    assert Resolver().explain(CACHE).render() == (
        "adapter:cache\n"
        "  no candidate is registered\n"
        "  problem: no candidate is registered for adapter:cache"
    )


def test_a_place_that_nobody_may_fill_does_not_point_at_itself() -> None:
    """The hint of the error leads to this very page and is left out here."""
    resolver = Resolver()
    resolver.register(Candidate(CACHE, "redis", dict, unavailable="install oneiric[redis]"))

    assert resolver.explain(CACHE).render() == (
        "adapter:cache\n"
        "  rejected  redis  install oneiric[redis]\n"
        "  problem: no candidate may serve adapter:cache"
    )


def test_a_warning_is_shown() -> None:
    """What is wrong but did not stop the decision stands below it."""
    resolver = Resolver()
    resolver.register(Candidate(CACHE, "redis", dict))
    resolver.configure(
        selections=[Selection.of(CACHE, "redsi", origin="oneiric.toml:7")], strict_selections=False
    )

    assert resolver.explain(CACHE).render(width=100) == (
        "adapter:cache\n"
        "  selected  redis  the only candidate\n"
        "  warning: oneiric.toml:7 selects redsi for adapter:cache, but nobody offers it"
    )


def test_a_program_reads_the_same_facts(resolver: Resolver) -> None:
    """The JSON of a decision has these fields and no others, and is JSON."""
    document = resolver.explain(CACHE, needs=["ttl"]).as_json()

    assert document == AS_JSON
    assert json.loads(json.dumps(document)) == AS_JSON


def test_a_problem_is_told_like_any_error() -> None:
    """What `resolve` would raise stands in the document as an error envelope does."""
    resolver = Resolver()
    resolver.configure(selections=[Selection.of(CACHE, "redis", origin="oneiric.toml:7")])

    assert resolver.explain(CACHE).as_json()["problem"] == {
        "code": "unknown-selection",
        "message": "oneiric.toml:7 selects redis for adapter:cache, but nobody offers it",
        "details": {
            "ref": "adapter:cache",
            "provider": "redis",
            "origin": "oneiric.toml:7",
            "why": "",
            "known": [],
        },
        "hint": "oneiric explain adapter:cache",
    }
