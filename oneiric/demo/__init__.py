"""Show what Oneiric does, on real data, in a few seconds."""

from oneiric.demo.story import StoryReport, tell_story

__all__ = ["StoryReport", "tell_story"]
