"""Structured logs, under the name by which users know them."""

from oneiric.text.logs import ROOT, configure_logging, get_logger

__all__ = ["ROOT", "configure_logging", "get_logger"]
