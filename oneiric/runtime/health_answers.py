"""What `health` and `supervisor-info` answer, as data."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from oneiric.core.generation import LifecycleState
from oneiric.errors import JSONValue
from oneiric.runtime.health import ServingState
from oneiric.text.layout import as_table

if TYPE_CHECKING:
    from oneiric.core.health import HealthReport
    from oneiric.core.status import ComponentStatus
    from oneiric.remote.report import Preview
    from oneiric.runtime.secrets_status import SecretsStatus


_ROW = frozenset({"ref", "state", "problem"})
"""What is read of a component that a running orchestrator told of; without, it says nothing."""


@dataclass(frozen=True, slots=True)
class Toggle:
    """Something that is on or off, and who said so."""

    is_on: bool
    origin: str

    def __str__(self) -> str:
        return f"{'on' if self.is_on else 'off'} ({self.origin})"

    def as_json(self) -> dict[str, JSONValue]:
        """Return `{"enabled", "origin"}`."""
        return {"enabled": self.is_on, "origin": self.origin}


@dataclass(frozen=True, slots=True, kw_only=True)
class ProfileToggles:
    """What a profile switches on and off."""

    name: str
    watchers: Toggle
    remote: Toggle
    inline_manifest_only: Toggle
    supervisor: Toggle

    def rows(self) -> list[tuple[str, Toggle]]:
        """Return each by its name."""
        return [
            ("watchers", self.watchers),
            ("remote", self.remote),
            ("inline manifest only", self.inline_manifest_only),
            ("supervisor", self.supervisor),
        ]

    def as_json(self) -> dict[str, JSONValue]:
        """Return the name, and each as `{"enabled", "origin"}`."""
        toggles = {name.replace(" ", "_"): toggle.as_json() for name, toggle in self.rows()}
        return {"name": self.name, **toggles}


@dataclass(frozen=True, slots=True)
class Probe:
    """What a component said that was brought up and asked."""

    ref: str
    provider: str
    report: HealthReport
    duration_ms: float

    def as_json(self) -> dict[str, JSONValue]:
        """Return the reference, the provider, the report and what it took."""
        duration = round(self.duration_ms, 3)
        return {
            "ref": self.ref,
            "provider": self.provider,
            **self.report.as_json(),
            "duration_ms": duration,
        }


@dataclass(frozen=True, slots=True)
class ManifestProof:
    """Evidence that a manifest was verified, or that it need not be signed."""

    path: str
    name: str
    version: int
    digest: str
    signers: tuple[str, ...]
    root: int
    expires: str
    entries: int
    per_domain: Mapping[str, int]
    quarantined: Sequence[Mapping[str, JSONValue]]

    @classmethod
    def of(cls, preview: Preview, path: str) -> ManifestProof:
        """Return the proof of a manifest that was looked at without an error."""
        found = preview.serving
        assert found is not None
        quarantined = tuple(each.as_json() for each in found.quarantined)
        registered = sum(found.per_domain.values())
        return cls(
            path,
            preview.source.name,
            found.version,
            found.digest,
            found.signers,
            found.root,
            found.until,
            registered + len(quarantined),
            found.per_domain,
            quarantined,
        )

    @property
    def proof(self) -> str:
        """`verified` where it is signed by who is trusted, else `unsigned`."""
        return "verified" if self.root else "unsigned"

    def as_json(self) -> dict[str, JSONValue]:
        """Return what was looked at, and what supports that it may be used."""
        return {
            "path": self.path,
            "name": self.name,
            "version": self.version,
            "digest": self.digest,
            "proof": self.proof,
            "signers": list(self.signers),
            "root": self.root,
            "expires": self.expires,
            "entries": self.entries,
            "per_domain": dict(self.per_domain),
            "quarantined": [dict(each) for each in self.quarantined],
        }


@dataclass(frozen=True, slots=True)
class HealthAnswer:
    """How a running orchestrator said that it stands, and what was found here.

    `told` is what it said when it was asked, or else its health file, and `stale` why that is
    not of today; `probes` is None where nothing was probed, and `where` says who was asked.
    """

    told: Mapping[str, JSONValue] | None
    stale: str
    profile: ProfileToggles
    secrets: SecretsStatus
    statuses: Sequence[ComponentStatus] = ()
    probes: Sequence[Probe] | None = None
    proofs: Sequence[ManifestProof] = ()
    where: str = "local"

    @property
    def is_live(self) -> bool:
        """Whether a running orchestrator wrote the health file lately."""
        over = (ServingState.STOPPED, ServingState.FAILED)
        return self.told is not None and not self.stale and self.told.get("state") not in over

    def problems(self) -> list[str]:
        """Return what is not well."""
        found = [f"the health file is stale: {self.stale}"] if self.stale else []
        if self.told and self.told.get("state") == ServingState.FAILED:
            found.append(f"the orchestrator failed: {self.told.get('problem')}")
        failed = str(LifecycleState.FAILED)
        rows = self._lifecycle() if self.is_live else []
        found += [
            f"{row['ref']} failed: {row['problem']}" for row in rows if row["state"] == failed
        ]
        found += self._left_undone() if self.is_live else ()
        for each in self.probes or ():
            if not each.report.healthy:
                found.append(f"{each.ref} is unhealthy: {each.report.detail}")
        return found

    def _left_undone(self) -> Iterator[str]:
        """Yield what the running orchestrator could not follow, or not keep up."""
        watch, supervisor = _table(self.told, "watch"), _table(self.told, "supervisor")
        if error := _table(watch, "error"):
            yield f"the last good configuration holds: {error.get('message')}"
        for ref, why in _table(watch, "failed").items():
            yield f"{ref} does not follow the configuration: {why}"
        given_up = supervisor.get("given_up")
        for ref in given_up if isinstance(given_up, list) else ():
            yield f"{ref} was given up"

    @property
    def exit_code(self) -> int:
        """1 where anything is not well."""
        return 1 if self.problems() else 0

    def as_json(self) -> dict[str, JSONValue]:
        """Return `oneiric.health/1`."""
        rows, problems = self._lifecycle(), self.problems()
        return {
            "schema": "oneiric.health/1",
            "applied": self._applied,
            "healthy": not problems,
            "problems": problems,
            "lifecycle": list(rows),
            "lifecycle_summary": {
                "components": len(rows),
                "states": dict(Counter(str(row["state"]) for row in rows)),
            },
            "runtime": {**self.told, "stale": self.stale or None} if self.told else None,
            "profile": self.profile.as_json(),
            "secrets": self.secrets.as_json(),
            "probes": None if self.probes is None else [each.as_json() for each in self.probes],
            "manifests": [each.as_json() for each in self.proofs],
        }

    def render(self, *, columns: int, colour: bool = False) -> str:
        """Return it in words, what is not well last."""
        return "\n".join(self._lines(columns))

    def _lines(self, columns: int) -> Iterator[str]:
        if self.told is None:
            yield "no orchestrator has run in this folder"
        else:
            pid, state = self.told.get("orchestrator_pid"), self.told.get("state")
            head = "orchestrator: stale, it was" if self.stale else "orchestrator:"
            yield f"{head} {state}, process {pid}, told {self.told.get('updated_at')}"
        yield f"profile {self.profile.name}, secrets from {self._secrets_provider()}"
        for proof in self.proofs:
            head = f"{proof.path}: {proof.name} {proof.version}, {proof.proof}"
            yield f"{head}, {proof.entries} entries, {proof.digest}"
        if self.probes is not None:
            rows = [
                (
                    each.ref,
                    each.provider or "-",
                    "healthy" if each.report.healthy else "unhealthy",
                    each.report.detail,
                )
                for each in self.probes
            ]
            headers = ("component", "provider", "health", "detail")
            nothing = "nothing is selected, so nothing was asked"
            yield as_table(headers, rows, width=columns) if rows else nothing
        yield from (f"problem: {problem}" for problem in self.problems())

    @property
    def _applied(self) -> str:
        is_read = self.where == "local" and self.is_live and self.probes is None
        return "stored" if is_read else self.where

    def _secrets_provider(self) -> str:
        return self.secrets.provider or "nobody"

    def _lifecycle(self) -> list[Mapping[str, JSONValue]]:
        """Return each component as the running orchestrator told, or else as it stands here."""
        is_here = self.probes is not None and self.where == "local"
        if is_here or not self.is_live or self.told is None:
            return [each.as_json() for each in self.statuses]
        told = self.told.get("lifecycle_state")
        domains = told.values() if isinstance(told, Mapping) else ()
        return [
            row
            for rows in domains
            if isinstance(rows, Mapping)
            for row in rows.values()
            if isinstance(row, Mapping) and row.keys() >= _ROW
        ]


@dataclass(frozen=True, slots=True)
class SupervisorAnswer:
    """What the profile decides and who said so, and who is asked for secrets."""

    profile: ProfileToggles
    secrets: SecretsStatus
    activity_store: str
    config: str
    exit_code: int = 0

    def as_json(self) -> dict[str, JSONValue]:
        """Return `oneiric.supervisor-info/1`."""
        return {
            "schema": "oneiric.supervisor-info/1",
            "supervisor": self.profile.supervisor.as_json(),
            "profile": self.profile.as_json(),
            "secrets": self.secrets.as_json(),
            "activity_store": self.activity_store,
            "config": self.config,
        }

    def render(self, *, columns: int, colour: bool = False) -> str:
        """Return the toggles and the order of secrets providers as tables."""
        on = {True: "on", False: "off"}
        toggles = [(name, on[each.is_on], each.origin) for name, each in self.profile.rows()]
        parts = (
            f"profile {self.profile.name}",
            as_table(("part", "is", "set by"), toggles, width=columns),
            as_table(("secrets provider", "standing", "why"), self.secrets.rows(), width=columns),
            f"what is paused is kept in {self.activity_store}",
        )
        return "\n\n".join(parts)


def _table(told: Mapping[str, JSONValue] | None, key: str) -> Mapping[str, JSONValue]:
    """Return the table below a key of what was told, empty where there is none."""
    found = told.get(key) if told else None
    return found if isinstance(found, Mapping) else {}
