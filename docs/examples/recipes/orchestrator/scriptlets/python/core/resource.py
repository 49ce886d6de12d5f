"""How long a step took."""

from oneiric.recipes import track_resources

__all__ = ["track_resources"]
