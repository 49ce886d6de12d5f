"""The forms that reports can be written in, by name."""

from __future__ import annotations

import json
from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING

from oneiric.errors import InvalidError, unknown
from oneiric.targets import load

if TYPE_CHECKING:
    from oneiric.reports.report import RunReport

FORMATS: Mapping[str, str] = MappingProxyType(
    {
        "html": "oneiric.reports.html:html",
        "markdown": "oneiric.reports.markdown:markdown",
        "junit": "oneiric.reports.junit:junit",
        "json": "oneiric.reports.document:document",
    }
)
"""Who writes the forms of reports, by name; they are imported when one is asked for."""


def report_text(report: RunReport, form: str) -> str:
    """Return a report in one of the forms.

    Raises:
        InvalidError: there is no such form.
    """
    if form not in FORMATS:
        raise InvalidError(f"there is no form of report {unknown(form, FORMATS)}")
    made = load(FORMATS[form], ("oneiric",))(report)
    if isinstance(made, str):
        return made
    return f"{json.dumps(made, ensure_ascii=False, indent=2)}\n"
