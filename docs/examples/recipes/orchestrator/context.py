"""The context under the name by which recipes' scriptlets have always imported it."""

from oneiric.recipes import Context

__all__ = ["Context"]
