"""What a scriptlet is."""

from oneiric.recipes import BaseScriptlet

__all__ = ["BaseScriptlet"]
