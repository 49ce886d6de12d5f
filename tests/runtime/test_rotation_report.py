"""What a rotation that did not hold tells whoever has to mend it."""

from pathlib import Path

from oneiric.runtime import RuntimeOrchestrator

SHORT = "too-short"


async def test_defect_a_swap_that_does_not_hold_says_which_setting_is_wrong(
    tmp_path: Path,
) -> None:
    """Each by its place in the file, and never the value."""
    store = tmp_path / "secrets.toml"
    store.write_text(f"cron = '{'a' * 40}'\n")
    store.chmod(0o600)
    (tmp_path / "oneiric.toml").write_text(
        f"""
        [adapters.selections]
        secrets = "file"
        [adapters.provider_settings.file]
        path = "{store}"
        [adapters.provider_settings."identity@token".tokens]
        cron = {{ secret = "cron" }}
        """
    )
    async with RuntimeOrchestrator.open(folder=tmp_path) as runtime:
        await runtime.lifecycle.activate("adapter:identity@token")
        store.write_text(f"cron = '{SHORT}'\n")
        report = await runtime.secrets.rotate(["cron"])

    text = report.render(columns=200)
    assert report.exit_code == 1
    assert "identity@token.tokens.cron: it cannot be made of what the secret cron holds" in text
    assert SHORT not in text
