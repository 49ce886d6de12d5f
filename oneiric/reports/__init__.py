"""A run as people and other programs read it: one file for each form, and no IO."""

from oneiric.reports.report import RunReport, Span, StepReport

__all__ = ["RunReport", "Span", "StepReport"]
