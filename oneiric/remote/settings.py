"""From where manifests come, and how much a source may cost."""

from __future__ import annotations

from typing import Annotated, TypeAlias

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from oneiric.documents.model import refused
from oneiric.text.names import is_name


def _name(text: str) -> str:
    if not is_name(text):
        raise refused(f"{text!r} is no name: letters, digits, '.', '_' and '-'")
    return text


Name: TypeAlias = Annotated[str, AfterValidator(_name)]


class SourceSettings(BaseModel):
    """One source of manifests: where it is, and whom it has to be signed by."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    uri: str = Field(min_length=1, max_length=2048)
    """An address, or a local file; of a local folder every manifest is a source `NAME.STEM`."""
    trust: str = Field("", max_length=2048)
    """The trust root that is pinned; of a folder each is `STEM.root.json`; empty for unsigned."""
    credential: str = Field("", max_length=200)
    """The name of a secret that the server asks for; its value is looked up when it is needed."""
    credential_origin: str = Field("", max_length=2048)
    """The only scheme, host and port that it is sent to; empty for those of `uri`."""
    enabled: bool = True
    """Whether it is a source at all."""


class RemoteSettings(BaseModel):
    """Which manifests are applied, and within which limits they are fetched."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    enabled: bool = True
    """Whether any source is used."""
    refresh_interval: float = Field(300.0, ge=1, le=86_400)
    """Seconds between two looks at every source, where somebody watches."""
    timeout_seconds: float = Field(30.0, gt=0, le=3_600)
    """Seconds that one attempt to fetch may take in all."""
    max_bytes: int = Field(16 << 20, ge=1_024, le=24 << 20)
    """Bytes of the largest manifest, signatures included."""
    max_artifact_bytes: int = Field(256 << 20, ge=1, le=1 << 40)
    """Bytes of the largest artifact."""
    retries: int = Field(3, ge=0, le=20)
    """Attempts after one that failed in a way that may pass."""
    latency_budget_ms: float = Field(5_000.0, gt=0, le=86_400_000)
    """Milliseconds that a sync should take, the fetch included; one that takes longer says so."""
    offline_grace_seconds: float = Field(0.0, ge=0, le=31_536_000)
    """Seconds after its end during which a kept manifest may still serve a start."""
    artifact_grace_seconds: float = Field(2_592_000.0, ge=3_600, le=315_360_000)
    """Seconds after which an artifact that no sync has needed is deleted."""
    allowed_roots: tuple[str, ...] = (".",)
    """Folders below which unsigned manifests may lie, seen from the working folder."""
    sources: dict[Name, SourceSettings] = Field(default_factory=dict)
    """Sources by name."""
