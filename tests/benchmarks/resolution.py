"""What choosing costs: a hit, an explanation, a registration, a whole source."""

import random
import time
import tracemalloc

from oneiric.core.candidate import Candidate, Source, SourceKind
from oneiric.core.ref import ComponentRef
from oneiric.core.resolver import Resolver
from tests.benchmarks.measure import Row, Size, by_turns, cpu_ms, in_child, statements

PICKS = 1_000
MANIFEST = Source(SourceKind.MANIFEST, "bench")


def offer(key: str, provider: str = "one", *, number: int = 0) -> Candidate:
    """Return an offer as a registration has it, with ranks that differ."""
    return Candidate(
        f"adapter:{key}",
        provider,
        dict,
        priority=number % 7,
        stack_level=number % 3,
        capabilities=("ttl",) if number % 2 else (),
    )


def crowded(offers: int) -> Resolver:
    """Return a resolver in which *offers* compete for `adapter:cache`."""
    resolver = Resolver()
    for number in range(offers):
        resolver.register(offer("cache", f"p{number}", number=number))
    return resolver


def keyed(keys: int) -> tuple[Resolver, list[str]]:
    """Return a resolver with *keys* places that were all resolved once, and their names."""
    resolver = Resolver()
    for number in range(keys):
        resolver.register(offer(f"k{number}"))
    names = [f"adapter:k{number}" for number in range(keys)]
    for name in names:
        resolver.resolve(name)
    return resolver, names


def hit(resolver: Resolver, names: list[str], size: Size, *, typed: bool = False) -> Row:
    """Compare a resolution that is known already with one lookup inside a function."""
    table = dict.fromkeys(names, 1)
    picks = random.Random(7).choices([_fresh(name, typed=typed) for name in names], k=PICKS)

    def look_up(name: str) -> int:
        return table[name]

    known = {"picks": picks, "resolve": resolver.resolve, "look_up": look_up}
    best = statements(
        {
            "resolve": "for name in picks: resolve(name)",
            "floor": "for name in picks: look_up(name)",
        },
        known,
        calls=max(size.calls // PICKS, 1),
        repeats=size.repeats,
    )
    return Row("", best["resolve"] / PICKS, "ns", best["floor"] / PICKS)


def _fresh(name: str, *, typed: bool) -> str:
    """Return the name as another object than the one in the tables, as callers have it."""
    text = "".join(name.partition(":"))
    return ComponentRef[object](text) if typed else text


def resolve(size: Size) -> list[Row]:
    """Measure hits for several numbers of keys, for many offers, and for a typed reference."""
    rows = []
    for keys in size.keys:
        found = hit(*keyed(keys), size)
        plural = "" if keys == 1 else "s"
        rows.append(Row(f"resolve, {keys:,} key{plural}", found.measured, "ns", found.floor))
    many = crowded(size.offers)
    many.resolve("adapter:cache")
    found = hit(many, ["adapter:cache"], size)
    rows.append(Row(f"resolve, {size.offers} offers", found.measured, "ns", found.floor))
    found = hit(*keyed(size.keys[1]), size, typed=True)
    rows.append(Row("resolve, typed reference", found.measured, "ns", found.floor))
    return rows


def explain(size: Size, offers: int = 0) -> list[Row]:
    """Compare an explanation with every reason with sorting as many ranks into tuples."""
    count = offers or size.offers
    resolver = crowded(count)
    ranks = [(False, n % 3, n % 7, n) for n in range(count)]

    def floor() -> object:
        ordered = sorted(ranks, reverse=True)
        return [(*each, ordered[0]) for each in ordered]

    def whole() -> object:
        return [standing.why for standing in resolver.explain("adapter:cache").standings]

    known = {"explain": resolver.explain, "whole": whole, "floor": floor}
    best = statements(
        {"explain": "explain('adapter:cache')", "whole": "whole()", "floor": "floor()"},
        known,
        calls=max(size.calls // count // 10, 1),
        repeats=size.repeats,
    )
    low = best["floor"] / 1e3
    return [
        Row(f"explain, {count} offers", best["explain"] / 1e3, "us", low),
        Row(f"explain, {count} offers, in words", best["whole"] / 1e3, "us", low),
    ]


def register(size: Size) -> list[Row]:
    """Measure registrations in a process of their own: distinct keys, one key, and memory."""
    repeats = 1 + (size.repeats > 5) * 2
    count = size.registered
    rows = []
    for what in ("distinct keys", "one key"):
        runs = [in_child(__name__, "spent", count, what) for _ in range(repeats)]
        best = min(run["spent"] for run in runs)
        rows.append(
            Row(f"register {count:,}, {what}", best, "s", min(run["floor"] for run in runs))
        )
    held = in_child(__name__, "held", count)
    rows.append(Row(f"register {count:,}, memory", held["registered"], "MB", held["floor"]))
    rows.append(Row(f"register {count:,}, all resolved", held["resolved"], "MB", held["floor"]))
    return rows


class Plain:
    """What the floor of a registration makes."""

    def __init__(self, ref: str, provider: str) -> None:
        self.ref = ref
        self.provider = provider


def spent(count: int, what: str) -> dict[str, float]:
    """Return the CPU seconds of *count* registrations, and of as many plain objects in a dict."""
    one = what == "one key"
    started = time.process_time()
    table = {}
    for number in range(count):
        plain = Plain("adapter:k" if one else f"adapter:k{number}", f"p{number}" if one else "one")
        table[plain.ref, plain.provider] = plain
    floor = time.process_time() - started
    table.clear()
    resolver = Resolver()
    started = time.process_time()
    for number in range(count):
        if one:
            resolver.register(Candidate("adapter:k", f"p{number}", dict))
        else:
            resolver.register(Candidate(f"adapter:k{number}", "one", dict))
    return {"spent": time.process_time() - started, "floor": floor}


def held(count: int) -> dict[str, float]:
    """Return the megabytes of *count* registrations, and of the same with all resolved."""
    tracemalloc.start()
    table = {f"adapter:k{number}": Plain(f"adapter:k{number}", "one") for number in range(count)}
    floor = tracemalloc.get_traced_memory()[0]
    table.clear()
    before = tracemalloc.get_traced_memory()[0]
    tracemalloc.reset_peak()
    resolver = Resolver()
    for number in range(count):
        resolver.register(Candidate(f"adapter:k{number}", "one", dict))
    registered = tracemalloc.get_traced_memory()[1]
    for number in range(count):
        resolver.resolve(f"adapter:k{number}")
    resolved = tracemalloc.get_traced_memory()[1]
    found = {"floor": floor, "registered": registered - before, "resolved": resolved - before}
    return {name: count / 1e6 for name, count in found.items()}


def replace(size: Size) -> list[Row]:
    """Replace all that a source offers: at first, again alike, and with a tenth changed."""
    before = _manifest(size.source, changed=0)
    alike = _manifest(size.source, changed=0)
    after = _manifest(size.source, changed=size.source // 10)

    def first() -> object:
        return Resolver().replace_source(MANIFEST, before)

    resolver = Resolver()

    def again(candidates: list[Candidate]) -> object:
        return resolver.replace_source(MANIFEST, candidates)

    again(before)
    best = by_turns(
        {
            "floor": cpu_ms(lambda: {each.offer: each for each in before}),
            "first": cpu_ms(first),
            "alike": cpu_ms(lambda: again(alike)),
            "changed": cpu_ms(lambda: again(after)),
            "back": cpu_ms(lambda: again(before)),
        },
        max(size.repeats // 5, 1),
    )
    names = {"first": "all new", "alike": "all alike", "changed": "a tenth changed"}
    return [
        Row(f"replace_source of {size.source:,}, {what}", best[name][0], "ms", best["floor"][0])
        for name, what in names.items()
    ]


def _manifest(count: int, *, changed: int) -> list[Candidate]:
    return [
        Candidate(f"adapter:k{n}", "one", dict, priority=int(n < changed), source=MANIFEST)
        for n in range(count)
    ]
