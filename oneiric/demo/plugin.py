"""The offers that `oneiric --demo` adds: two for each component."""

from collections.abc import Iterable, Mapping

from oneiric.core.candidate import Candidate
from oneiric.core.plugin import Plugin
from oneiric.errors import JSONValue

_HOME = "oneiric.demo.components"

_TEXT = "${ default(input.text, 'a demonstration of a workflow') }"
_REPORT: Mapping[str, JSONValue] = {
    "description": "Count the words of a text, take a while, and tell.",
    "nodes": [
        {"id": "count", "task": "demo-words", "payload": {"text": _TEXT}},
        {
            "id": "pause",
            "task": "demo-pause",
            "depends_on": ["count"],
            "payload": {"seconds": "${ default(input.seconds, 0) }"},
        },
        {
            "id": "report",
            "task": "demo-say",
            "depends_on": ["count", "pause"],
            "payload": {"line": "${ steps.count.output.words } words"},
            "retry_policy": {"attempts": 2, "base_delay": 0.1},
        },
    ],
}


def _pair(
    ref: str, first: tuple[str, str], second: tuple[str, str], **metadata: JSONValue
) -> Iterable[Candidate]:
    """Offer two providers for *ref*, each a name and a class; the first outranks."""
    for (provider, kind), priority in zip((first, second), (20, 10), strict=True):
        target = f"{_HOME}:{kind}"
        yield Candidate(ref, provider, target, priority=priority, stack="demo", metadata=metadata)


def _workflow(provider: str, kind: str, priority: int) -> Candidate:
    return Candidate(
        "workflow:word-report",
        provider,
        f"{_HOME}:{kind}",
        priority=priority,
        stack="demo",
        requires={"words": "task:demo-words"},
        metadata={"dag": _REPORT, "notifications": {"channel": "reports"}},
    )


PLUGIN = Plugin(
    [
        *_pair("service:status", ("plain", "StatusService"), ("counting", "CountingStatusService")),
        *_pair("service:payment", ("sandbox", "SandboxPayment"), ("ledger", "LedgerPayment")),
        *_pair(
            "service:notification",
            ("outbox", "OutboxNotification"),
            ("digest", "DigestNotification"),
        ),
        *_pair("task:demo-words", ("all", "CountWords"), ("distinct", "CountDistinctWords")),
        *_pair("task:demo-say", ("plain", "Say"), ("loud", "SayLoud")),
        *_pair("task:demo-pause", ("sleep", "Pause"), ("skip", "NoPause")),
        *_pair(
            "event:order-created",
            ("remember", "RememberOrder"),
            ("count", "CountOrders"),
            event_topics=["order.created"],
        ),
        _workflow("plain", "WordReport", 20),
        _workflow("loud", "LoudWordReport", 10),
    ]
)
