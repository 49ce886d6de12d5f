"""A run as one HTML file that needs nothing else: no script, no font, no address."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterator, Mapping
from hashlib import sha256
from html import escape
from types import MappingProxyType

from oneiric.errors import JSONValue
from oneiric.reports.graph import graph
from oneiric.reports.report import Outcome, RunReport, Span, StepReport, problems, told
from oneiric.reports.style import STYLE
from oneiric.reports.words import MARKS, by_whom, cut, duration, last_part, plain_text, shown, tally
from oneiric.runs.state import StepState

_DIGEST = b64encode(sha256(STYLE.encode()).digest()).decode()
_POLICY = f"default-src 'none'; style-src 'sha256-{_DIGEST}'; base-uri 'none'; form-action 'none'"
_SCALE = 1_000
_SHORT = 24
_MOST_FAILURES = 50
_IN_WORDS = frozenset({"code", "message", "type"})
_LONGEST_VALUE, _LONGEST_TEXT = 4_000, 2_000
_ALL_VALUES = 2_000_000


def html(report: RunReport) -> str:
    """Return the run as an HTML page that may be kept, sent and opened anywhere.

    It loads and runs nothing: a policy in it forbids both. Text from others is escaped, secrets
    are masked, each value is cut at 4,000 characters and all together at 2 million; of a
    run of more than 200 steps no graph is drawn.
    """
    return "\n".join(_Page(report).parts()) + "\n"


class _Page:
    """One page, and how many characters of values it may still take."""

    def __init__(self, report: RunReport) -> None:
        self._report = report
        self._room = _ALL_VALUES

    def parts(self) -> Iterator[str]:
        """Give the page from its first line to its last."""
        report, name = self._report, _text(self._report.run.plan.name)
        yield "<!DOCTYPE html>"
        yield '<html lang="en"><head><meta charset="utf-8">'
        yield f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">'
        yield '<meta name="viewport" content="width=device-width, initial-scale=1">'
        yield '<meta name="referrer" content="no-referrer">'
        yield f"<title>{name}: {report.state}</title><style>{STYLE}</style></head><body>"
        yield '<a class="skip" href="#steps">Skip to the steps</a>'
        yield f"<header><h1>{name} {_state(report.state, 'badge')}</h1>"
        yield from self._head()
        yield "</header><main>"
        yield from self._timeline()
        yield from self._drawing()
        yield from self._given()
        end = report.run.ended_at
        until = "" if end else " It had not ended when this was written."
        yield f"</main><footer>Secrets are masked; long values are cut.{until}</footer>"
        yield "</body></html>"

    def _head(self) -> Iterator[str]:
        report, run = self._report, self._report.run
        yield '<dl class="facts">'
        yield from _fact("Steps", _text(tally(report)))
        yield from _fact("Took" if run.ended_at else "So far", duration(report.length_ms))
        yield from _fact("Began", _time(report.began_at))
        if run.ended_at:
            yield from _fact("Ended", _time(run.ended_at))
        if run.plan.version:
            version = f"<code>{_text(run.plan.version)}</code>"
            yield from _fact("Plan version", version, is_wide=len(run.plan.version) > _SHORT)
        yield from _fact("Run", f"<code>{_text(run.run_id)}</code>", is_wide=True)
        yield from _fact("Plan", f"<code>{_text(run.digest)}</code>", is_wide=True)
        yield "</dl>"
        yield from self._problem()

    def _problem(self) -> Iterator[str]:
        failed = list(problems(self._report))
        if not failed and not self._report.problem:
            return
        yield '<section class="problem" aria-label="What went wrong">'
        yield "<strong>What went wrong</strong>"
        if not failed:
            yield f"<div>{_text(self._report.problem)}</div></section>"
            return
        yield "<ul>"
        for step in failed[:_MOST_FAILURES]:
            yield f'<li><a href="#s{step.place}">{_text(step.name)}</a>: {_text(step.why)}</li>'
        yield "</ul>"
        if len(failed) > _MOST_FAILURES:
            yield f"<div>and {len(failed) - _MOST_FAILURES:,} more</div>"
        yield "</section>"

    def _timeline(self) -> Iterator[str]:
        length = duration(self._report.length_ms)
        yield '<h2 id="steps">Steps</h2><ol class="steps"><li class="axis" aria-hidden="true">'
        yield f'<span class="scale"><span>0</span><span>{length}</span></span>'
        yield '<span class="took">took</span></li>'
        for step in self._report.steps:
            yield from self._step(step)
        yield "</ol>"
        yield from _legend(self._report)

    def _step(self, step: StepReport) -> Iterator[str]:
        state = str(step.state)
        is_open = " open" if step.state is StepState.FAILED and step.place <= _SCALE else ""
        yield f"<li><details{is_open}><summary>"
        yield f'<span class="name">{_text(step.name)}</span>{_state(state, "state", step.word)}'
        yield f'<span class="barbox">{self._bar(step)}</span>'
        yield f'<span class="took">{duration(step.duration_ms)}</span>'
        notes = [f"{step.attempts} attempts"] if step.attempts > 1 else []
        if notes or step.why:
            why = "; ".join([*notes, step.why] if step.why else notes)
            yield f'<span class="why">{_text(why)}</span>'
        yield f'</summary><div class="inside" id="s{step.place}">'
        yield from self._facts(step)
        yield from _attempts(step)
        yield '<div class="values">'
        run = step.run
        for title, value in (("Input", run.input), ("Result", run.result), ("Asks", run.prompt)):
            yield from self._value(title, value)
        if run.error and not run.error.keys() <= _IN_WORDS:
            yield from self._value("Error", run.error)
        yield from self._value("Wrote", dict(step.remarks.wrote) or None)
        yield from self._log(step)
        yield "</div></div></details></li>"

    def _facts(self, step: StepReport) -> Iterator[str]:
        made, plan = step.run.provenance, step.run.step
        facts = {
            "Target": plan.target,
            "Depends on": ", ".join(plan.depends_on),
            "Provider": by_whom(step),
            "Manifest": made.manifest_digest,
            "Decision": made.decision_digest,
            "Signal": step.run.signal,
        }
        yield '<dl class="facts">'
        for title, value in facts.items():
            if value:
                yield from _fact(title, f"<code>{_text(value)}</code>")
        yield "</dl>"

    def _bar(self, step: StepReport) -> str:
        length = self._report.length_ms or 1.0
        parts = []
        for span in step.spans:
            x = min(span.begin_ms / length * _SCALE, _SCALE - 3)
            width = max(span.duration_ms / length * _SCALE, 3)
            kind = _kind(step, span)
            parts.append(f'<rect class="{kind}" x="{x:.1f}" width="{width:.1f}" height="10"/>')
        inner = "".join(parts)
        size = f'viewBox="0 0 {_SCALE} 10" preserveAspectRatio="none"'
        return f'<svg class="bar" {size} aria-hidden="true">{inner}</svg>'

    def _value(self, title: str, value: JSONValue) -> Iterator[str]:
        if value is None:
            return
        text = shown(value, min(_LONGEST_VALUE, self._room)) if self._room > 0 else ""
        self._room -= len(text)
        if not text:
            yield f"<div><h3>{title}</h3><p>left out, for the page is long enough</p></div>"
            return
        yield f'<div><h3>{title}</h3><pre tabindex="0">{escape(plain_text(text))}</pre></div>'

    def _log(self, step: StepReport) -> Iterator[str]:
        log = step.remarks.log
        if log:
            text = last_part(log, _LONGEST_VALUE)
            yield f'<div><h3>Log</h3><pre tabindex="0">{_text(text, len(text))}</pre></div>'

    def _drawing(self) -> Iterator[str]:
        drawn = graph(self._report)
        if drawn:
            yield '<h2>Graph</h2><div class="graph" role="region" aria-label="Graph" tabindex="0">'
            yield f"{drawn}</div>"

    def _given(self) -> Iterator[str]:
        run = self._report.run
        context: JSONValue = dict(run.context.values) or None
        metadata: JSONValue = dict(run.metadata) or None
        found = (("Input", run.input), ("Context", context), ("Metadata", metadata))
        if any(value is not None for _, value in found):
            yield '<h2>What the run was given and kept</h2><div class="values">'
            for title, value in found:
                yield from self._value(title, value)
            yield "</div>"


def _attempts(step: StepReport) -> Iterator[str]:
    if not step.spans:
        return
    yield '<div class="scroll"><table><thead><tr>'
    for title in ("Attempt", "Began after", "Took", "Ended", "Provider"):
        yield f'<th scope="col">{title}</th>'
    yield "</tr></thead><tbody>"
    for span in step.spans:
        what = "waiting" if span.is_wait else str(span.attempt or "-")
        yield f'<tr><th scope="row">{what}</th><td>{duration(span.begin_ms)}</td>'
        yield f"<td>{duration(span.duration_ms)}</td><td>{span.outcome}</td>"
        yield f"<td><code>{_text(span.provider)}</code></td></tr>"
        if span.error:
            yield f'<tr><td class="error" colspan="5">{_text(told(span.error))}</td></tr>'
    yield "</tbody></table></div>"


_LEGEND: Mapping[str, str] = MappingProxyType(
    {
        "succeeded": "work",
        "cached": "what an earlier run had done",
        "open": "work under way",
        "assigned": "work handed to somebody outside",
        "failed": "work that failed",
        "canceled": "work that was stopped",
        "lost": "lost with its holder",
        "wait": "waiting for somebody outside",
    }
)


def _legend(report: RunReport) -> Iterator[str]:
    used = {_kind(step, span) for step in report.steps for span in step.spans}
    if used <= {"succeeded"}:
        return
    yield '<ul class="legend">'
    for kind, what in _LEGEND.items():
        if kind in used:
            square = f'<rect class="{kind}" width="10" height="10"/>'
            yield f'<li><svg viewBox="0 0 10 10" aria-hidden="true">{square}</svg>{what}</li>'
    yield "</ul>"


def _kind(step: StepReport, span: Span) -> str:
    if step.word == "cached":
        return step.word
    return "wait" if span.is_wait and span.outcome is not Outcome.FAILED else str(span.outcome)


def _fact(title: str, value: str, *, is_wide: bool = False) -> Iterator[str]:
    wide = ' class="wide"' if is_wide else ""
    yield f"<div{wide}><dt>{title}</dt><dd>{value}</dd></div>"


def _state(state: str, kind: str, word: str = "") -> str:
    mark = f'<span aria-hidden="true">{MARKS.get(word, MARKS[state])} </span>'
    return f'<span class="{kind} {state} {word}">{mark}{word or state}</span>'


def _time(at: str) -> str:
    text = _text(at)
    return f'<time datetime="{text}">{text[:10]} {text[11:19]} UTC</time>'


def _text(text: str, longest: int = _LONGEST_TEXT) -> str:
    return escape(plain_text(cut(text, longest)))
