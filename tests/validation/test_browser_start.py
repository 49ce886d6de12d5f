"""A browser that does not come up."""

from __future__ import annotations

import asyncio
from pathlib import Path

from oneiric.runs.proof import ProofOutcome
from oneiric.validation.checks.spec import UICheck
from oneiric.validation.providers.browser import BrowserProver, BrowserSettings
from tests.validation.parts import jump


async def test_a_browser_that_hangs_at_its_start_is_waited_for_once(tmp_path: Path) -> None:
    """The next checks are told the same at once; a minute later, or anew, it is tried again."""
    program, begun = tmp_path / "chromium", tmp_path / "begun"
    program.write_text(f"#!/bin/sh\necho x >> {begun}\nexec sleep 600\n")
    program.chmod(0o755)
    prover = BrowserProver(BrowserSettings(executable=str(program), start_seconds=0.5))

    async def proved() -> tuple[ProofOutcome, str]:
        check = UICheck(url="/")
        proof = await prover.prove(
            check, user="ada@example.com", prod_url="http://127.0.0.1:1", captured={}
        )
        return proof.outcome, str(proof.facts["error"])

    first = await proved()
    assert first[0] is ProofOutcome.INCONCLUSIVE
    assert "does not start: BrowserType.launch: Timeout" in first[1]
    assert await asyncio.gather(*(proved() for _ in range(5))) == [first] * 5
    assert begun.read_text() == "x\n"
    await prover.cleanup()
    assert await proved() == first
    assert begun.read_text() == "x\nx\n"
    jump(61)
    assert await proved() == first
    assert begun.read_text() == "x\nx\nx\n"
