"""How pages are looked at."""

from __future__ import annotations

from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field

SCREENSHOTS = Path(".oneiric_cache/ledger/screenshots")


class BrowserSettings(BaseModel):
    """Which browser looks at pages, where they may go, and how much is kept of them."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    executable: str = ""
    """The browser; empty for the first `chromium` of PATH."""
    sandbox: bool = True
    """Whether Chromium keeps pages in its sandbox; never for root, whom it refuses that."""
    screenshots: Path = SCREENSHOTS
    """The folder for pictures, each named after its own digest; seen from the repository."""
    allow_hosts: list[str] = Field(default_factory=list, max_length=1_000)
    """Hosts that pages may ask besides that of production, as `host`, `host:port` or `*.host`."""
    max_pages: int = Field(default=4, ge=1, le=100)
    """How many pages are open at once; further checks wait."""
    max_screenshot_bytes: int = Field(default=2 << 20, ge=1_000, le=64 << 20)
    """Bytes of a picture; what is larger is taken once more as a JPEG, else not kept."""
    settle_seconds: float = Field(default=5.0, ge=0, le=600)
    """Seconds that a loaded page has to become as it should be."""
    start_seconds: float = Field(default=60.0, gt=0, le=600)
    """Seconds that the browser may take to start."""
