"""What would change if a manifest were applied: entries, decisions, running components."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from oneiric.core.activity import ActivityState
from oneiric.core.registry import SourceChange
from oneiric.core.resolver import Assumption
from oneiric.remote.heap import settling
from oneiric.remote.report import Preview

if TYPE_CHECKING:
    from collections.abc import Mapping

    from oneiric.core.candidate import Candidate
    from oneiric.core.lifecycle import LifecycleManager
    from oneiric.remote.serving import Serving
    from oneiric.remote.sources import ManifestSource
    from oneiric.remote.succession import Running


def preview_of(
    source: ManifestSource,
    serving: Serving,
    *,
    before: Sequence[Candidate],
    lifecycle: LifecycleManager,
    running: Running,
    fetches: Mapping[str, int],
) -> Preview:
    """Return what applying *serving* instead of *before* would do; it blocks, and changes nothing.

    Resolution waits for as long as it takes to compare every decision.
    """
    with settling():
        assume = Assumption(replace={serving.source: serving.candidates})
        decisions = tuple(lifecycle.resolver.preview(assume))
    swaps: list[str] = []
    deferred: list[str] = []
    orphaned: list[str] = []
    present = running.places()
    for diff in decisions:
        ref, winner = diff.before.ref, diff.after.winner
        if not diff.changes_winner or ref not in present or present[ref] == winner:
            continue
        if winner is None:
            orphaned.append(ref)
        elif lifecycle.activity.get(ref).state is ActivityState.ACTIVE:
            swaps.append(ref)
        else:
            deferred.append(ref)
    return Preview(
        source,
        serving,
        change_between(before, serving.candidates),
        decisions,
        tuple(swaps),
        tuple(deferred),
        tuple(orphaned),
        fetches,
    )


def change_between(before: Sequence[Candidate], after: Sequence[Candidate]) -> SourceChange:
    """Return what `Registry.replace_source` would tell of a source's old and new offers."""
    old = {each.offer: each for each in before}
    new = {each.offer: each for each in after}
    same = {offer for offer, each in new.items() if old.get(offer) == each}
    return SourceChange(
        added=tuple(sorted(new.keys() - old.keys())),
        changed=tuple(sorted((new.keys() & old.keys()) - same)),
        removed=tuple(sorted(old.keys() - new.keys())),
        unchanged=tuple(sorted(same)),
    )
