"""How costs grow with size."""

from tests.benchmarks.lifecycle import swap_among
from tests.benchmarks.measure import Curve, Size, in_child
from tests.benchmarks.resolution import explain, hit, keyed, spent

BAR = 32


def curves(size: Size) -> list[Curve]:
    """Measure each operation at rising sizes."""
    return [
        _resolve(size),
        _explain(size),
        _register(size, "distinct keys"),
        _register(size, "one key"),
        _swap(size),
    ]


def _resolve(size: Size) -> Curve:
    points = [(keys, hit(*keyed(keys), size).measured) for keys in size.curve]
    return Curve("resolve, by keys", "ns", tuple(points))


def _explain(size: Size) -> Curve:
    sizes = [offers for offers in size.curve if offers <= 1_000]
    points = [(offers, explain(size, offers)[0].measured / offers) for offers in sizes]
    return Curve("explain, by offers, for each offer", "us", tuple(points))


def _register(size: Size, what: str) -> Curve:
    sizes = [count for count in (*size.curve, size.registered) if count >= 100]
    points = []
    for count in sizes:
        each = min(in_child(spent.__module__, "spent", count, what)["spent"] for _ in range(2))
        points.append((count, each / count * 1e6))
    return Curve(f"register, {what}, for each offer", "us", tuple(points))


def _swap(size: Size) -> Curve:
    points = [(up, swap_among(size, up)) for up in size.curve if up <= 1_000]
    return Curve("swap, by components that are up", "us", tuple(points))


def chart(curve: Curve) -> list[str]:
    """Return the curve as lines: size, cost, and a bar as long as the cost."""
    top = max(cost for _, cost in curve.points) or 1.0
    lines = [f"{curve.name} ({curve.unit})"]
    for size, cost in curve.points:
        bar = "#" * max(round(cost / top * BAR), 1)
        lines.append(f"  {size:>9,}  {cost:>9.2f}  {bar}")
    return lines
