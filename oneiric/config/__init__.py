"""Configuration: a file, a profile over it, the environment over both, and who set what.

No room is known here: sections are handed in by whoever composes them.
"""

from oneiric.config.load import known_profiles, load_config
from oneiric.config.paths import CachePaths
from oneiric.config.room import RoomSettings
from oneiric.config.sections import Config, Setting

__all__ = ["CachePaths", "Config", "RoomSettings", "Setting", "known_profiles", "load_config"]
