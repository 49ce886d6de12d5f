"""Measure, and compare with the floors of the same run: `python -m tests.benchmarks.run`.

The exit code is 0 whatever the figures say: they depend on the machine and on who else uses it.
"""

import argparse
import json
import os
import platform
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence

from tests.benchmarks import (
    callbacks,
    commands,
    curves,
    events,
    install,
    journal,
    lifecycle,
    manifests,
    recipes,
    resolution,
    runs,
    serving,
    syncs,
    validation,
)
from tests.benchmarks.measure import FULL, TINY, Curve, Row, Size
from tests.benchmarks.targets import FLOORS, target_of

BENCHMARKS: Mapping[str, Callable[[Size], list[Row]]] = {
    "resolve": resolution.resolve,
    "explain": resolution.explain,
    "register": resolution.register,
    "replace_source": resolution.replace,
    "use": lifecycle.use,
    "swap": lifecycle.swap,
    "swap_under_load": lifecycle.swap_under_load,
    "dispatch": events.dispatch,
    "callbacks": callbacks.callbacks,
    "runs": runs.runs,
    "journaled": journal.journaled,
    "manifests": manifests.verified,
    "syncs": syncs.syncs,
    "commands": commands.commands,
    "recipes": recipes.recipes,
    "serving": serving.serving,
    "validation": validation.checks,
    "install": install.install,
}
"""What can be measured, by the name that `--only` takes."""

CURVES = "curves"
SCHEMA = "oneiric.benchmarks/1"
HEADERS = ("row", "measured", "floor", "ratio", "target", "met")


def machine() -> dict[str, str]:
    """Return what the figures were measured on, in words."""
    return {
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "system": f"{platform.system()} {platform.machine()}",
        "cores": str(os.cpu_count() or "unknown"),
    }


def document(rows: Iterable[Row], found: Iterable[Curve]) -> dict[str, object]:
    """Return everything that was measured as one JSON document."""
    return {
        "schema": SCHEMA,
        "machine": machine(),
        "rows": [_as_json(row) for row in rows],
        "curves": [
            {"name": curve.name, "unit": curve.unit, "points": [list(p) for p in curve.points]}
            for curve in found
        ],
    }


def _as_json(row: Row) -> dict[str, object]:
    target = target_of(row.name)
    return {
        "name": row.name,
        "unit": row.unit,
        "measured": row.measured,
        "floor": row.floor,
        "ratio": row.ratio,
        "target": target.as_json() if target else None,
        "met": target.is_met(row) if target else None,
    }


def table(rows: Iterable[Row]) -> list[str]:
    """Return the rows as lines of text in columns."""
    cells = [HEADERS, *(_cells(row) for row in rows)]
    widths = [max(len(line[column]) for line in cells) for column in range(len(HEADERS))]
    lines = []
    for line in cells:
        first, *others = line
        last = [text.rjust(width) for text, width in zip(others[:3], widths[1:4], strict=True)]
        rest = [text.ljust(width) for text, width in zip(others[3:], widths[4:], strict=True)]
        lines.append("  ".join((first.ljust(widths[0]), *last, *rest)).rstrip())
    return lines


def _cells(row: Row) -> tuple[str, ...]:
    target = target_of(row.name)
    return (
        row.name,
        _figure(row.measured, row.unit),
        _figure(row.floor, row.unit),
        f"{row.ratio:.2f}" if row.ratio is not None else "-",
        target.render(row.unit) if target else "-",
        ("yes" if target.is_met(row) else "no") if target else "-",
    )


def _figure(value: float | None, unit: str) -> str:
    if value is None:
        return "-"
    return f"{value:,.{0 if not unit or value >= 100 else 2}f} {unit}".rstrip()


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure what was asked for and print it."""
    parser = argparse.ArgumentParser(prog="benchmarks", description="Measure against floors.")
    parser.add_argument("--only", action="append", choices=[*BENCHMARKS, CURVES], metavar="NAME")
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    parser.add_argument(
        "--tiny", action="store_true", help="small sizes: try it, do not believe it"
    )
    given = parser.parse_args(arguments)
    names = given.only or [*BENCHMARKS, CURVES]
    size = TINY if given.tiny else FULL
    rows: list[Row] = []
    for name in names:
        if name != CURVES:
            sys.stderr.write(f"measuring {name}\n")
            rows += BENCHMARKS[name](size)
    found = curves.curves(size) if CURVES in names else []
    if given.json:
        lines = [json.dumps(document(rows, found), indent=2)]
    else:
        lines = [*table(rows), "", *(f"floor of {what}: {floor}" for what, floor in FLOORS)]
        lines = lines if rows else []
        for curve in found:
            lines += ["", *curves.chart(curve)]
    sys.stdout.write("\n".join(lines) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
