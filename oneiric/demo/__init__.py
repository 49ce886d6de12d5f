"""Show what Oneiric does, on real data, in a few seconds."""

from oneiric.demo.story import StoryReport, open_runtime, tell_story

__all__ = ["StoryReport", "open_runtime", "tell_story"]
