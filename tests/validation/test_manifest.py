"""The signed manifest of validation: the same offers as are built in, from another source."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from manifests.publish import OWN, publish
from oneiric.adapters.plugin import PLUGIN
from oneiric.remote.offers import offers_of
from oneiric.validation.plugin import ADAPTERS

ROOT = Path(__file__).parents[2]


def test_the_manifest_offers_what_is_built_in(tmp_path: Path) -> None:
    """What comes from afar differs from what is installed by its source alone."""
    for name in ("manifests/validation.yaml", "docs/sample_remote_manifest.yaml"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes((ROOT / name).read_bytes())
    signed = publish(tmp_path, datetime.now(UTC))
    manifest = next(each.manifest for each in signed if each.path.stem == "validation")
    built_in = {str(each.offer): each for each in (*ADAPTERS.candidates, *PLUGIN.candidates)}

    offers = offers_of(manifest, allowed=OWN)

    assert offers.quarantined == ()
    assert {str(each.offer) for each in offers.candidates} >= {
        "adapter:validator@live",
        "adapter:drift@compare",
        "adapter:gatekeeper@strict",
        "adapter:executor@process",
        "adapter:knowledge@snipara",
    }
    for offer in offers.candidates:
        ours = built_in[str(offer.offer)]
        for field in ("factory", "settings_model", "capabilities", "requires", "priority"):
            assert getattr(offer, field) == getattr(ours, field), (str(offer.offer), field)
        assert offer.stack == "validation"
