"""What a manifest says: who publishes, which version, until when, and the entries it brings."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache as cached
from itertools import islice
from typing import Annotated, Any, Literal, TypeVar, cast
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    JsonValue,
    ValidationError,
)
from pydantic.fields import FieldInfo

from oneiric.core.ref import DOMAINS
from oneiric.documents import DocumentLimits, Kind, locate, parse
from oneiric.documents.model import OriginOf, refused, validate_settings
from oneiric.documents.places import line_of
from oneiric.errors import ConfigError, JSONValue, Problem
from oneiric.machine import check_python
from oneiric.remote.errors import InvalidManifestError
from oneiric.targets import is_target
from oneiric.text.names import NAME_LIMIT, is_name

M = TypeVar("M", bound=BaseModel)

SCHEMA = "oneiric.manifest/2"
MOST_ENTRIES = 20_000
LIMITS = DocumentLimits(max_bytes=16 << 20, max_depth=32, max_nodes=2_000_000)
LARGEST = 2**53 - 1
_OWN = "x-"
_BELOW = ("artifact", "secrets", "security", "capabilities")
"""Fields whose own fields are named here too; what lies below others is the publisher's."""
_TOLD = 10  # problems of one entry that are told in one line
_RFC3339 = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]{1,9})?"
    r"(?P<zone>Z|[+-][0-9]{2}:[0-9]{2})?"
)
_STRICT = ConfigDict(extra="forbid", frozen=True, strict=True, hide_input_in_errors=True)


def _name(text: str) -> str:
    if not is_name(text):
        raise refused(f"{text!r} is no name: letters, digits, '.', '_' and '-', at most 200")
    return text


def _target(text: str) -> str:
    if not is_target(text):
        raise refused(f"{text!r} is not package.module:attr")
    if text.startswith("_") or "._" in text or ":_" in text:
        raise refused(f"{text!r} names something private")
    return text


def _python(text: str) -> str:
    if text and (wrong := check_python(text)):
        raise refused(wrong)
    return text


def _uri(text: str) -> str:
    try:
        urlsplit(text).port  # noqa: B018  # raises where it is none
    except ValueError:
        raise refused("it is no address") from None
    return text


def _moment(value: object) -> object:
    """Read RFC 3339 text, which YAML and TOML give as text too."""
    if not isinstance(value, str):
        return value
    found = _RFC3339.fullmatch(value)
    if found and not found["zone"]:
        raise refused("it has no time zone; write 2026-11-20T09:30:00Z")
    try:
        if found:
            return datetime.fromisoformat(value).astimezone(UTC)
    except (ValueError, OverflowError):  # no such day; beyond the years 1 and 9999
        pass
    raise refused("it is no RFC 3339 time such as 2026-11-20T09:30:00Z")


def _schema(**words: JSONValue) -> FieldInfo:
    """Return what a JSON Schema says of a type that is checked by a function."""
    return cast("FieldInfo", Field(json_schema_extra=cast("dict[str, Any]", words)))


Name = Annotated[
    str,
    AfterValidator(_name),
    _schema(pattern=r"^[A-Za-z0-9](?:[A-Za-z0-9_-]|\.(?!\.))*$", maxLength=NAME_LIMIT),
]
Target = Annotated[str, AfterValidator(_target), _schema(pattern=r"^[^:\s]+:[^:.\s]+$")]
Moment = Annotated[datetime, BeforeValidator(_moment)]
Text = Annotated[str, Field(max_length=4096)]
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class Artifact(BaseModel):
    """Bytes that belong to an entry: where they are, and exactly which."""

    model_config = _STRICT

    uri: Annotated[str, AfterValidator(_uri)] = Field(min_length=1, max_length=2048)
    """Where it is: absolute, or seen from the manifest."""
    sha256: Sha256
    """Its digest, as 64 lower-case hexadecimal digits."""
    length: int = Field(ge=1, le=LARGEST)
    """Its length in bytes."""
    kind: Literal["wheel", "file"] = "wheel"
    """A `py3-none-any` wheel whose modules the factory names, or a plain file."""


class CapabilitySecurity(BaseModel):
    """How a capability is protected."""

    model_config = _STRICT

    classification: Text = ""
    """How confidential what it handles is."""
    auth_required: bool = True
    """Whether a caller has to show who it is."""
    scopes: list[str] = Field(default_factory=list)
    """What a caller must be allowed to do."""
    encryption: Text = ""
    """How it is encrypted."""
    signature_required: bool = False
    """Whether calls must be signed."""
    audience: list[str] = Field(default_factory=list)
    """Whom it is for."""
    notes: Text = ""
    """Whatever else people should know."""


class Capability(BaseModel):
    """Something that an entry can do, described."""

    model_config = _STRICT

    name: Name
    """What callers ask for."""
    description: Text = ""
    """What it does, for people."""
    event_types: list[str] = Field(default_factory=list)
    """The events that it concerns."""
    payload_schema: dict[str, JsonValue] | str = ""
    """The form of its payload, or where that is described."""
    schema_format: Text = ""
    """The language of `payload_schema`, such as `json-schema`."""
    security: CapabilitySecurity | None = None
    """How it is protected."""
    metadata: dict[str, JsonValue] = Field(default_factory=dict)
    """Whatever else callers want to know."""


class SecretsPosture(BaseModel):
    """Which secrets an entry needs; their names, never their values."""

    model_config = _STRICT

    required: list[str] = Field(default_factory=list)
    """Without these it does not come up."""
    optional: list[str] = Field(default_factory=list)
    """It can do more with these."""
    notes: Text = ""
    """Whatever else people should know."""


class Entry(BaseModel):
    """One offer of a manifest."""

    model_config = _STRICT

    domain: Literal["adapter", "service", "task", "event", "workflow", "action"]
    """The namespace of the place to fill."""
    key: Name
    """The key of the place to fill."""
    provider: Name
    """Who offers."""
    factory: Target
    """What makes it, `package.module:attr`."""
    artifact: Artifact | None = None
    """The wheel that the factory is loaded from, or a file that belongs to it."""
    stack_level: int = Field(0, ge=-100, le=100)
    """Rank among the entries of this manifest only."""
    priority: int = Field(0, ge=-1000, le=1000)
    """Rank within a level."""
    version: Text = ""
    """The version of the provider."""
    capabilities: list[Name | Capability] = Field(default_factory=list)
    """What it can do, by name or described."""
    requires: dict[str, str] = Field(default_factory=dict)
    """Keyword of the factory to the reference whose link it receives."""
    conflicts_with: list[str] = Field(default_factory=list)
    """Places or offers beside which it may not serve."""
    python_version: Annotated[str, AfterValidator(_python)] = ""
    """Versions of Python it runs on, such as `>=3.11,<3.14`."""
    os_platform: list[Name] = Field(default_factory=list)
    """Systems it runs on: `linux`, `macos`, `windows`."""
    settings: dict[str, JsonValue] = Field(default_factory=dict)
    """Settings of the provider; those of the configuration stand over them."""
    settings_model: Target | None = None
    """What checks the settings, `package.module:attr`."""
    blocking: bool = False
    """Whether its synchronous phases run in a thread of their own."""
    side_effect_free: bool = False
    """Whether it may be run again without harm."""
    timeout_seconds: float | None = Field(None, gt=0, lt=1e9)
    """Seconds that one attempt may take."""
    retry_policy: dict[str, JsonValue] | None = None
    """How often it is tried again, and when."""
    event_topics: list[str] | None = Field(None, min_length=1)
    """Topics that an event handler hears, with `*` and `**`."""
    event_filters: list[JsonValue] | None = None
    """What an event must be like to be heard."""
    event_priority: int | None = Field(None, ge=-1000, le=1000)
    """Which handler is asked first."""
    event_fanout_policy: Literal["broadcast", "exclusive"] | None = None
    """Whether all hear an event, or one."""
    event_max_concurrency: int | None = Field(None, ge=0, le=10_000)
    """Events handled at the same time; 0 for no limit."""
    dag: dict[str, JsonValue] | None = None
    """The nodes of a workflow, and what holds for them."""
    secrets: SecretsPosture | None = None
    """Which secrets it needs."""
    owner: Text = ""
    """Who answers for it."""
    license: Text = ""
    """The licence, as SPDX names it."""
    documentation_url: Text = ""
    """Where it is described."""
    metadata: dict[str, JsonValue] = Field(default_factory=dict)
    """Whatever else callers want to know."""

    @property
    def offer(self) -> str:
        """What it offers, `domain:key@provider`."""
        return f"{self.domain}:{self.key}@{self.provider}"


class ManifestHead(BaseModel):
    """What holds for a manifest as a whole."""

    model_config = _STRICT

    schema_: Literal["oneiric.manifest/2"] = Field(alias="schema")
    """The format."""
    name: Name
    """What is published; every version of it has the same name."""
    version: int = Field(ge=1, le=LARGEST)
    """Rises with every change."""
    issued: Moment
    """When it was published, RFC 3339."""
    expires: Moment
    """When it must have been replaced, RFC 3339."""
    stack: Name | Literal[""] = ""
    """The layer that its entries belong to; empty for its name."""
    description: Text = ""
    """What it is for."""
    documentation_url: Text = ""
    """Where it is described."""


@dataclass(frozen=True, slots=True)
class Fault:
    """An entry that cannot be followed: which, as far as it can be named, and why."""

    index: int
    offer: str
    problems: tuple[Problem, ...]

    @property
    def reason(self) -> str:
        """What is wrong with it, in one line; of very many problems the first."""
        told = [f"{each.key}: {each.what}" for each in islice(self.problems, _TOLD)]
        others = len(self.problems) - len(told)
        return "; ".join([*told, f"{others} more problems"] if others else told)


@dataclass(frozen=True, slots=True)
class Manifest:
    """A manifest that was read: its head, the entries that can be followed, and the others."""

    head: ManifestHead
    entries: tuple[Entry, ...]
    faults: tuple[Fault, ...] = ()

    @property
    def name(self) -> str:
        """What is published."""
        return self.head.name

    @property
    def version(self) -> int:
        """Which version of it."""
        return self.head.version

    @property
    def stack(self) -> str:
        """The layer that its entries belong to."""
        return self.head.stack or self.head.name


def read_manifest(data: bytes, kind: Kind = "json", *, source: str = "") -> Manifest:
    """Read a manifest; entries that cannot be followed are kept apart as faults.

    Fields that begin with `x-` are left out, wherever fields are named here; all others have
    to be known. Two entries for one offer are faults, both.

    Raises:
        DocumentError: it is not one strict document within the limits of manifests.
        InvalidManifestError: its head is wrong, or its entries are no list of tables.
    """
    told = parse(data, kind, source=source, limits=LIMITS)

    lines = cached(lambda: locate(data, kind) if b"\n" in data else {})  # packed: one line

    def origin_of(path: str) -> str:
        line = line_of(lines(), path.partition(".")[2])
        return f"{source or 'line'}:{line}" if line else source

    return manifest_of(told, source=source, origin_of=origin_of)


def manifest_of(
    told: JSONValue, *, source: str = "", origin_of: OriginOf | None = None
) -> Manifest:
    """Return the manifest that a plain value tells; `read_manifest` tells what is raised."""
    origin = origin_of or (lambda path: source)
    if not isinstance(told, Mapping):
        raise InvalidManifestError(source, [Problem(".", "it is no table", source)])
    head = {name: value for name, value in told.items() if name != "entries"}
    entries = told.get("entries", [])
    problems: list[Problem] = []
    if not isinstance(entries, list):
        problems.append(Problem("entries", "it is no list", origin("manifest.entries")))
    elif len(entries) > MOST_ENTRIES:
        what = f"there are {len(entries)}, more than {MOST_ENTRIES}"
        problems.append(Problem("entries", what, origin("manifest.entries")))
    try:
        read = _checked(ManifestHead, head, "manifest", origin)
        if read.expires <= read.issued:
            what = "it lies before issued"
            problems.append(Problem("expires", what, origin("manifest.expires")))
    except ConfigError as error:
        problems += _without_root(error.problems)
    if problems or not isinstance(entries, list):
        raise InvalidManifestError(source, problems)
    good, faults = _entries(entries, origin)
    return Manifest(read, good, faults)


def examine_manifest(
    told: JSONValue, *, source: str, origin_of: OriginOf
) -> tuple[Manifest | None, list[Problem]]:
    """Return the manifest that a plain value tells, and every problem of its head and entries.

    With a wrong head there is no manifest.
    """
    found: Manifest | None = None
    problems: list[Problem] = []
    faults: tuple[Fault, ...] = ()
    try:
        found = manifest_of(told, source=source, origin_of=origin_of)
        faults = found.faults
    except InvalidManifestError as error:
        problems += error.problems
        entries = told.get("entries") if isinstance(told, Mapping) else None
        if isinstance(entries, list) and len(entries) <= MOST_ENTRIES:
            faults = _entries(entries, origin_of)[1]
    return found, problems + [each for fault in faults for each in fault.problems]


def _entries(
    told: list[JSONValue], origin: OriginOf
) -> tuple[tuple[Entry, ...], tuple[Fault, ...]]:
    good: dict[str, tuple[int, Entry]] = {}
    faults: list[Fault] = []
    twice: dict[str, int] = {}
    for index, each in enumerate(told):
        try:
            entry = _entry(each, index, origin)
        except ConfigError as error:
            faults.append(Fault(index, offer_of(each), tuple(_without_root(error.problems))))
            continue
        name = entry.offer
        if name in good or name in twice:
            first = good.pop(name, None)
            if first is not None:
                twice[name] = first[0]
                faults.append(_repeated(first[0], name, index, origin))
            faults.append(_repeated(index, name, twice[name], origin))
        else:
            good[name] = (index, entry)
    faults.sort(key=lambda fault: fault.index)
    return tuple(entry for _, entry in good.values()), tuple(faults)


def _repeated(index: int, offer: str, other: int, origin: OriginOf) -> Fault:
    key = f"entries.{index}"
    what = f"{offer} is offered by entry {other} too"
    return Fault(index, offer, (Problem(key, what, origin(f"manifest.{key}")),))


def _entry(told: JSONValue, index: int, origin: OriginOf) -> Entry:
    if not isinstance(told, Mapping):
        key = f"manifest.entries.{index}"
        raise ConfigError("no entry", problems=[Problem(key, "it is no table", origin(key))])
    try:
        return Entry.model_validate(told)
    except ValidationError:  # or there are fields to leave out, which few entries have
        return _checked(Entry, told, f"manifest.entries.{index}", origin)


def offer_of(told: JSONValue) -> str:
    """Return what an entry offers as far as it can be named, else an empty string."""
    if not isinstance(told, Mapping):
        return ""
    domain, key, provider = (told.get(name) for name in ("domain", "key", "provider"))
    named = domain in DOMAINS and is_name(key) and is_name(provider)
    return f"{domain}:{key}@{provider}" if named else ""


def _checked(model: type[M], values: Mapping[str, JSONValue], key: str, origin: OriginOf) -> M:
    return validate_settings(model, _own(values), key=key, origin_of=origin)


def _without_root(problems: tuple[Problem, ...]) -> Iterator[Problem]:
    """Yield *problems* with the places that the document itself would name."""
    for problem in problems:
        yield Problem(problem.key.removeprefix("manifest."), problem.what, problem.origin)


def _own(told: Mapping[str, Any]) -> dict[str, Any]:
    """Return a table without fields that begin with `x-`, in those below that are models too."""
    return {
        name: _own_below(value) if name in _BELOW else value
        for name, value in told.items()
        if not name.startswith(_OWN)
    }


def _own_below(value: Any) -> Any:
    if isinstance(value, list):
        return [_own_below(each) for each in value]
    return _own(value) if isinstance(value, Mapping) else value


def left_out(told: JSONValue, place: str = "") -> dict[str, JSONValue]:
    """Return the fields that reading leaves out, those that begin with `x-`, by their places.

    >>> left_out({"x-team": "a", "artifact": {"uri": "u", "x-build": 7}, "metadata": {"x-y": 1}})
    {'x-team': 'a', 'artifact.x-build': 7}
    """
    found: dict[str, JSONValue] = {}
    if isinstance(told, list):
        for index, each in enumerate(told):
            found |= left_out(each, f"{place}{index}.")
    elif isinstance(told, Mapping):
        for name, value in told.items():
            if name.startswith(_OWN):
                found[f"{place}{name}"] = value
            elif name in _BELOW:
                found |= left_out(value, f"{place}{name}.")
    return found
