"""Loggers that write to stderr."""

from oneiric.recipes import get_logger

__all__ = ["get_logger"]
