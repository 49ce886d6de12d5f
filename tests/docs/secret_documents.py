"""The real document for the section of `docs/reference/json.md` about secrets."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.runtime.vaults import DOOR, GATE, Vault, forget, opened, settings, written


async def secret_documents(folder: Path) -> dict[str, Any]:
    """Return what a rotation tells: one secret unchanged, one changed, one gone."""
    forget()
    named = "pin = { secret = 'door' }"
    written(folder, settings("oak", named), settings("iron", named))
    Vault.held = dict.fromkeys(("card", "door", "vault"), "1")
    async with opened(folder) as runtime:
        for name in ("card", "vault"):
            await runtime.secrets.get(name)
        for ref in (DOOR, GATE):
            await runtime.lifecycle.activate(ref)
        await runtime.pause(DOOR)
        Vault.held = {"card": "1", "door": "2"}
        report = await runtime.secrets.rotate(every=True)
    forget()
    return {"Rotation of secrets": report.as_json()}
