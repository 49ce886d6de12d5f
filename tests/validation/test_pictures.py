"""Where the pictures of pages are kept."""

from pathlib import Path

import pytest

from oneiric.validation.checks.spec import UICheck
from oneiric.validation.providers.browser import BrowserProver, BrowserSettings
from tests.validation.pages import serving


@pytest.mark.server("chromium")
async def test_pictures_are_kept_beside_the_ledger_of_the_repository(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Wherever somebody asks from: the proof names the picture as seen from the repository."""
    repository = tmp_path / "repository"
    below = repository / "docs"
    below.mkdir(parents=True)
    monkeypatch.chdir(below)
    prover = BrowserProver(BrowserSettings(settle_seconds=1.0))
    try:
        async with serving() as site:
            proof = await prover.prove(
                UICheck(url="/shop"),
                user="test@example.com",
                prod_url=site.url,
                repo_path=str(repository),
            )
    finally:
        await prover.cleanup()
    kept = str(proof.facts["screenshot"])
    assert kept.startswith(".oneiric_cache/ledger/screenshots/")
    assert (repository / kept).is_file()
    assert not [*below.iterdir()]
