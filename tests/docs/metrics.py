"""The page of all metrics, written from their table."""

from oneiric.metrics import METRICS, MOST_SERIES, SECONDS
from tests.architecture.source import House
from tests.docs.markdown import HEADER


def metrics_page(_house: House) -> str:
    """Return the page of every metric: kind, labels, meaning."""
    bounds = ", ".join(f"{bound:g}" for bound in SECONDS)
    lines = [
        HEADER,
        "# Metrics\n",
        "For whoever writes dashboards and alerts. These are all metrics there are, under the",
        "names that Prometheus and OTLP see; how to get at them is told under",
        "[observe](../how-to/observe.md). Durations are in seconds, and counters count from the",
        "begin of the process.\n",
        f"Histograms have buckets up to {bounds} s and without bound. A metric has at most",
        f"{MOST_SERIES} sets of labels; samples beyond go to one whose labels are all `other`, and",
        "are counted in `oneiric_metrics_overflow_total`.\n",
        "| metric | kind | labels | says |",
        "|---|---|---|---|",
    ]
    for each in METRICS.values():
        labels = ", ".join(f"`{label}`" for label in each.labels)
        lines.append(f"| `{each.name}` | {each.kind} | {labels} | {each.help} |")
    return "\n".join(lines) + "\n"
