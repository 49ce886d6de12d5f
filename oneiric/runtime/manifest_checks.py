"""What the domains and a careful reader have to say of a manifest whose form is right."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractAsyncContextManager
from datetime import datetime, timedelta
from functools import partial
from types import MappingProxyType
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from oneiric.core.ref import ComponentRef
from oneiric.documents import canonical
from oneiric.domains.events.bridge import handler_of
from oneiric.domains.events.filters import EventFilter
from oneiric.domains.events.topics import TopicPattern
from oneiric.domains.metadata import InvalidMetadataError
from oneiric.domains.retry import read_retry
from oneiric.domains.schedule import read_schedule
from oneiric.domains.workflows.spec import NODES, read_workflow
from oneiric.errors import InvalidError, InvalidRefError, JSONValue, Problem, nearest
from oneiric.remote.manifest import offer_of
from oneiric.remote.offers import offers_of
from oneiric.remote.times import SKEW
from oneiric.remote.verify import unsigned
from oneiric.runs.body import Body
from oneiric.targets import is_allowed
from oneiric.text.redaction import is_secret_name

if TYPE_CHECKING:
    from collections.abc import Iterable

    from oneiric.core.candidate import Candidate
    from oneiric.documents.model import OriginOf
    from oneiric.remote.manifest import Entry, Manifest

SOON = timedelta(days=7)
EXTREME = 900
_DOERS = ("task", "action")
_OWN = (("event_", "event"), ("dag", "workflow"))
_WRITTEN = MappingProxyType({"target": "task", "input": "payload"})
_LOOPBACK = ("localhost", "127.0.0.1", "::1")


def errors_of(
    manifest: Manifest, told: JSONValue, *, origin_of: OriginOf, source: str
) -> list[Problem]:
    """Return what no runtime could follow: references, topics, filters, retries, workflows."""
    found = list(_errors(manifest, told, source))
    return [Problem(key, what, origin_of(key)) for key, what in found]


def warnings_of(
    manifest: Manifest,
    told: JSONValue,
    *,
    now: datetime,
    origin_of: OriginOf,
    factories: Iterable[str] = (),
) -> list[Problem]:
    """Return what is allowed and yet may not be meant."""
    found = [*_of_head(manifest, now), *_of_entries(manifest, told, tuple(factories))]
    return [Problem(key, what, origin_of(key)) for key, what in found]


Told = tuple[str, str]


def _errors(manifest: Manifest, told: JSONValue, source: str) -> Iterator[Told]:
    places = _places(manifest, told)
    entries = {entry.offer: entry for entry in manifest.entries}
    for candidate, reason in _candidates(manifest, told, source):
        entry = entries.get(str(candidate.offer))
        if entry is None:  # its form is wrong already
            continue
        at = places[entry.offer]
        if reason:
            yield at, reason
            continue
        check = {"event": _event, "workflow": _workflow}.get(entry.domain, _other)
        yield from ((f"{at}.{key}".rstrip("."), what) for key, what in check(entry, candidate))


def _candidates(
    manifest: Manifest, told: JSONValue, source: str
) -> Iterator[tuple[Candidate, str]]:
    """Give the candidates as a runtime would make them, and why one could not be made."""
    head = manifest.head
    verified = unsigned(canonical(told), "json", source=source, now=head.issued)
    targets = (name for each in manifest.entries for name in (each.factory, each.settings_model))
    every = {name.partition(":")[0] for name in targets if name}
    offers = offers_of(verified, allowed=every)
    ours = offers.quarantined[len(manifest.faults) :]  # the others are of entries with faults
    reasons = {each.offer: each.reason for each in ours}
    for candidate in offers.candidates:
        yield candidate, reasons.get(str(candidate.offer), "")


def _places(manifest: Manifest, told: JSONValue) -> dict[str, str]:
    """Return where each offer that can be followed stands in the document."""
    entries = told.get("entries", ()) if isinstance(told, Mapping) else ()
    listed = entries if isinstance(entries, list) else ()
    faulty = {fault.index for fault in manifest.faults}
    return {
        offer_of(each): f"entries.{index}"
        for index, each in enumerate(listed)
        if index not in faulty
    }


def _event(entry: Entry, candidate: Candidate) -> Iterator[Told]:
    topics, filters = entry.event_topics or (), entry.event_filters or ()
    found = [
        *_each("event_topics", topics, TopicPattern),
        *_each("event_filters", filters, EventFilter.parse),
        *_one("retry_policy", lambda: read_retry(entry.retry_policy)),
    ]
    yield from found or _one("", lambda: handler_of(candidate, candidate.ref, _nothing))


def _other(entry: Entry, candidate: Candidate) -> Iterator[Told]:
    yield from _one("retry_policy", lambda: read_retry(entry.retry_policy, errors=True))
    table = entry.metadata.get("schedule")
    if table is not None:
        ref = str(candidate.ref)
        yield from _one("metadata.schedule", lambda: read_schedule(ref, table))


def _workflow(entry: Entry, candidate: Candidate) -> Iterator[Told]:
    try:
        read_workflow(candidate, _Named())
    except InvalidMetadataError as error:
        for each in error.problems:
            yield _numbered(each.key, entry), each.what
    yield from (each for each in _other(entry, candidate) if each[0] != "retry_policy")


def _numbered(key: str, entry: Entry) -> str:
    """Return the place of a problem in a workflow by the number of its node, not by its id."""
    head, *rest = key.split(".", 2)
    if head != "dag" or len(rest) < 2 or rest[0] not in NODES:
        return key
    name, nodes = _nodes(entry)
    for index, node in enumerate(nodes):
        told = str(node.get("id", node.get("key", ""))) if isinstance(node, dict) else ""
        if told and (rest[1] == told or rest[1].startswith(f"{told}.")):
            field = rest[1].removeprefix(told).removeprefix(".")
            return f"dag.{name}.{index}.{_WRITTEN.get(field, field)}".rstrip(".")
    return f"dag.{name}.{rest[1]}"


def _nodes(entry: Entry) -> tuple[str, list[JSONValue]]:
    """Return the nodes of a workflow, and by which of their two names they go."""
    dag = entry.dag or {}
    name = next((each for each in NODES if each in dag), NODES[0])
    nodes = dag.get(name)
    return name, list(nodes) if isinstance(nodes, list) else []


def _each(key: str, values: Iterable[JSONValue], read: Callable[..., object]) -> Iterator[Told]:
    for index, value in enumerate(values):
        yield from _one(f"{key}.{index}", partial(read, value))


def _one(key: str, read: Callable[[], object]) -> Iterator[Told]:
    try:
        read()
    except InvalidError as error:
        yield key, f"{error.message}; {error.hint}" if error.hint else error.message


def _nothing(_: object) -> None:
    """Handle an event by doing nothing: it is only asked whether it could be told."""


class _Named:
    """Bodies of which only the names are known: who does them, their runtimes will know."""

    def problem(self, target: str) -> str:
        """Return why *target* can name nobody."""
        try:
            ref: ComponentRef[object] = ComponentRef(target)
        except InvalidRefError as error:
            return f"{error.message}; {error.hint}" if error.hint else error.message
        if ref.domain not in _DOERS:
            return f"{target} is no task and no action, so it cannot do a step"
        return ""

    def open(self, target: str) -> AbstractAsyncContextManager[Body]:
        """Refuse: nothing is done here."""
        raise InvalidError(f"{target} is only checked")


def _of_head(manifest: Manifest, now: datetime) -> Iterator[Told]:
    head = manifest.head
    if head.expires <= now:
        yield "expires", f"it expired {head.expires:%Y-%m-%d}: nobody will apply it"
    elif head.expires - now < SOON:
        yield "expires", f"it expires {head.expires:%Y-%m-%d}, within {SOON.days} days"
    if head.issued > now + SKEW:
        yield "issued", "it lies in the future: until then nobody will apply it"
    yield from _link(head.documentation_url)
    if not manifest.entries:
        yield "entries", "there are none: whatever was offered is withdrawn"


def _of_entries(manifest: Manifest, told: JSONValue, prefixes: tuple[str, ...]) -> Iterator[Told]:
    places, offered = (
        _places(manifest, told),
        {f"{each.domain}:{each.key}" for each in manifest.entries},
    )
    for entry in manifest.entries:
        at = places[entry.offer]
        for key, what in (
            *_unsaid(entry),
            *_link(entry.documentation_url),
            *_outside(entry, prefixes),
            *_odd(entry),
            *_unoffered(entry, offered),
        ):
            yield f"{at}.{key}".rstrip("."), what


def _unsaid(entry: Entry) -> Iterator[Told]:
    missing = [name for name in ("owner", "license") if not getattr(entry, name)]
    if missing:
        yield "", f"it has no {' and no '.join(missing)}"


def _link(url: str) -> Iterator[Told]:
    if url.lower().startswith("http://"):
        yield "documentation_url", "a link by http can be changed on its way; write https"


def _outside(entry: Entry, prefixes: tuple[str, ...]) -> Iterator[Told]:
    for name in ("factory", "settings_model"):
        module = (getattr(entry, name) or "").partition(":")[0]
        if prefixes and module and not is_allowed(module, prefixes):
            yield name, f"{module} is under none of {', '.join(prefixes)}"


def _odd(entry: Entry) -> Iterator[Told]:
    if abs(entry.priority) >= EXTREME:
        yield "priority", f"{entry.priority} leaves little room for whoever must outrank it"
    for name in sorted(entry.model_fields_set):
        own = next((domain for begin, domain in _OWN if name.startswith(begin)), "")
        if own and own != entry.domain and getattr(entry, name):
            yield name, f"it means nothing for the domain {entry.domain}"
    for name, value in entry.settings.items():
        if isinstance(value, str) and value and is_secret_name(name):
            yield f"settings.{name}", "everybody can read a manifest; keep secrets elsewhere"
    if entry.artifact is not None:
        split = urlsplit(entry.artifact.uri)
        if split.scheme == "http" and split.hostname not in _LOOPBACK:
            yield "artifact.uri", "nothing is fetched by http; write https"


def _unoffered(entry: Entry, offered: set[str]) -> Iterator[Told]:
    name, nodes = _nodes(entry)
    for index, node in enumerate(nodes):
        task = node.get("task") if isinstance(node, dict) else None
        ref = f"task:{task}" if isinstance(task, str) and ":" not in task else task
        if not isinstance(ref, str) or ref.partition(":")[0] not in _DOERS:
            continue
        if ref.partition("@")[0] not in offered:
            close = nearest(ref, offered)
            also = f"; did you mean {close}?" if close else ""
            yield f"dag.{name}.{index}.task", f"nobody in this manifest offers {ref}{also}"
