"""One real document for each section of `docs/reference/json.md` about manifests from afar."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path
from typing import Any

from oneiric.clock import rfc3339
from oneiric.config import load_config
from oneiric.runtime import RuntimeOrchestrator
from oneiric.runtime.remote_answers import PreviewAnswer, RemoteStatusAnswer, SyncAnswer
from oneiric.runtime.settings import SECTIONS
from oneiric.testing import ManualClock

_ENTRY = {
    "domain": "adapter",
    "key": "cache",
    "provider": "acme",
    "factory": "oneiric.adapters.cache.memory:MemoryCache",
}


async def remote_documents(folder: Path) -> dict[str, Any]:
    """Return what a sync, its dry run and the status tell of a manifest with a faulty entry."""
    clock = ManualClock()
    entries = [_ENTRY, {**_ENTRY, "key": "store", "colour": "red"}]
    told = {
        "schema": "oneiric.manifest/2",
        "name": "acme",
        "version": 7,
        "issued": rfc3339(clock.now()),
        "expires": "2026-02-01T00:00:00Z",
        "entries": entries,
    }
    file = _configured(folder)
    file.write_text(json.dumps({**told, "version": 6, "entries": []}))
    with contextlib.chdir(folder):
        config = load_config(SECTIONS, folder=folder, environ={})
        async with RuntimeOrchestrator(config, clock=clock) as runtime:
            file.write_text(json.dumps(told))
            preview = PreviewAnswer(await runtime.remote.preview())
            report = await runtime.sync_remote()
            status = RemoteStatusAnswer(runtime.remote.status())
    return {
        "Remote sync": SyncAnswer(report).as_json(),
        "Remote preview": preview.as_json(),
        "Remote status": status.as_json(),
    }


def _configured(folder: Path) -> Path:
    """Make a folder with a source, and return where its manifest lies."""
    folder.mkdir()
    source = '[plugins]\nauto_load = false\n[remote.sources.acme]\nuri = "acme.json"\n'
    (folder / "oneiric.toml").write_text(source)
    return folder / "acme.json"
