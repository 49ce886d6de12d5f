"""The contract of the repository against the one that production serves."""

from __future__ import annotations

from oneiric.documents import canonical
from oneiric.errors import DocumentError
from oneiric.ports.executor import Executor
from oneiric.validation.drift.findings import Findings, Found
from oneiric.validation.drift.question import DriftQuestion
from oneiric.validation.drift.view import Contract, View
from oneiric.validation.openapi import compare, read_document


async def check_openapi(view: View, question: DriftQuestion, _executor: Executor) -> Found:
    """Compare what production serves with the repository's document, else with the baseline's."""
    findings = Findings("openapi")
    is_asked = bool(question.openapi.file or question.openapi.url)
    meant = await _meant(view)
    if meant.document is None:
        findings.missing(meant.problem, demanded=is_asked or meant.is_broken)
        return findings.found()
    served = await view.served()
    if served.document is None:
        demanded = is_asked or served.is_broken or question.checks.schemas is True
        hint = "say where it is served, in openapi.url"
        findings.missing(served.problem, demanded=demanded, hint=hint)
        return findings.found()
    found = compare(meant.document, served.document, today=view.at[:10])
    findings.items.extend(found.items)
    findings.compared(found.checked)
    for place, reason in found.unread:
        findings.unsure(place, f"not compared: {reason}")
    return findings.found()


async def _meant(view: View) -> Contract:
    contract = await view.contract()
    if contract.document is not None or contract.is_broken:
        return contract
    kept = (await view.baseline()).baseline
    if kept is None or kept.openapi is None:
        return contract
    source = f"the baseline {kept.name}"
    try:
        return Contract(read_document(canonical(kept.openapi.document), source=source), source)
    except DocumentError as error:
        return Contract(source=source, problem=error.message, is_broken=True)
