"""What a profile switches is told, with who switched it."""

from pathlib import Path

from oneiric.config import load_config
from oneiric.runtime.settings import SECTIONS
from oneiric.runtime.toggles import toggles_of


def test_every_switch_is_told_with_its_origin(tmp_path: Path) -> None:
    """Those of the profile, of the file, and those that nobody touched."""
    (tmp_path / "oneiric.toml").write_text("[remote]\nenabled = false\n")
    config = load_config(SECTIONS, folder=tmp_path, profile="serverless", environ={})

    told = toggles_of(config)

    found = {each.path: (each.value, each.origin) for each in told.toggles}
    assert found["watch.enabled"] == (False, "profile serverless")
    assert found["remote.enabled"] == (False, "oneiric.toml:2")
    assert found["lifecycle.failover"] == (True, "default")
    assert told.profile == told.as_json()["profile"] == "serverless"
