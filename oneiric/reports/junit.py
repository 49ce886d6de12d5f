"""A run as JUnit XML, which every CI system reads: a step is a test case."""

from __future__ import annotations

import re
from xml.etree.ElementTree import Element, SubElement, indent, tostring

from oneiric.reports.report import RunReport, StepReport, told
from oneiric.reports.words import last_part, shown
from oneiric.runs.state import RunState, StepState

_ILLEGAL = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_LONGEST = 10_000
_HEAD = '<?xml version="1.0" encoding="UTF-8"?>\n'


def junit(report: RunReport) -> str:
    """Return the run as JUnit XML: one suite, with a test case for each step.

    A step whose own work said no is a failure; one that could not be done, for time or for
    want of somebody, is an error; one that was not done, or not yet, is skipped. A run that
    did not succeed though no step failed has a further case `(run)`, so that no reader takes
    it for a good one. Characters that XML does not know are U+FFFD.
    """
    run = report.run
    suite = Element("testsuite")
    for step in report.steps:
        _case(suite, report, step)
    _whole(suite, report)
    counts = {
        "tests": len(suite),
        "failures": len(suite.findall("testcase/failure")),
        "errors": len(suite.findall("testcase/error")),
        "skipped": len(suite.findall("testcase/skipped")),
    }
    suites = Element("testsuites", name=_clean(run.plan.name))
    for each in (suites, suite):
        each.attrib.update({name: str(count) for name, count in counts.items()})
        each.set("time", _seconds(report.length_ms))
    suite.attrib.update(name=_clean(run.plan.name), timestamp=_clean(report.began_at))
    suite.insert(0, _properties(report))
    suites.append(suite)
    indent(suites)
    return f"{_HEAD}{tostring(suites, encoding='unicode')}\n"


def _properties(report: RunReport) -> Element:
    properties = Element("properties")
    run = report.run
    facts = {"run": run.run_id, "state": report.state, "plan": run.digest, "holder": run.holder}
    for name, value in facts.items():
        SubElement(properties, "property", name=name, value=_clean(value))
    return properties


def _case(suite: Element, report: RunReport, step: StepReport) -> None:
    case = _new(suite, report, step.name, step.duration_ms or 0.0)
    state = step.state
    if state is StepState.FAILED:
        error = step.error or {}
        code = str(error.get("code") or "failed")
        problem = SubElement(case, "failure" if code == "failed" else "error")
        problem.set("type", _clean(str(error.get("type") or code)))
        problem.set("message", _clean(step.why))
        problem.text = _clean(shown(error, _LONGEST))
    elif state is not StepState.SUCCEEDED:
        why = step.why or f"it is {state}"
        SubElement(case, "skipped", message=_clean(why))
    earlier = [span for span in step.spans[:-1] if span.error is not None]
    lines = [f"{span.title}: {told(span.error or {})}" for span in earlier]
    if state is StepState.SUCCEEDED and step.why:
        lines.append(step.why)
    if step.remarks.log:
        lines.append(last_part(step.remarks.log, _LONGEST))
    if lines:
        SubElement(case, "system-out").text = _clean("\n".join(lines))


def _whole(suite: Element, report: RunReport) -> None:
    """Add a case for a run that failed, or was canceled, while none of its steps failed."""
    if report.run.state not in (RunState.FAILED, RunState.CANCELED):
        return
    if suite.find("testcase/failure") is None and suite.find("testcase/error") is None:
        case = _new(suite, report, "(run)", report.length_ms)
        why = _clean(report.problem or f"the run {report.state}")
        SubElement(case, "error", type=str(report.run.state), message=why)


def _new(suite: Element, report: RunReport, name: str, ms: float) -> Element:
    classname = _clean(report.run.plan.name)
    return SubElement(suite, "testcase", name=_clean(name), classname=classname, time=_seconds(ms))


def _seconds(ms: float) -> str:
    return f"{ms / 1_000:.3f}"


def _clean(text: str) -> str:
    return _ILLEGAL.sub("\ufffd", text)
