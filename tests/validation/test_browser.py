"""Checks of pages in a real Chromium."""

import asyncio
import builtins
import hashlib
import json
import os
import signal
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from oneiric.ports.errors import InvalidRequestError, PermissionDeniedError
from oneiric.runs.proof import Proof, ProofOutcome
from oneiric.validation.checks.spec import UICheck
from oneiric.validation.providers.browser import BrowserProver, BrowserSettings
from tests.servers import free_port
from tests.validation.pages import KEY, Site, serving

needs_chromium = pytest.mark.server("chromium")
PNG = b"\x89PNG"
USER = "test@example.com"


@pytest.fixture
async def site() -> AsyncIterator[Site]:
    """Production."""
    async with serving() as found:
        yield found


@pytest.fixture
async def stranger() -> AsyncIterator[Site]:
    """Somebody else's site."""
    async with serving() as found:
        yield found


@pytest.fixture
async def prover(tmp_path: Path) -> AsyncIterator[BrowserProver]:
    """A browser of the test's own."""
    found = made(tmp_path)
    yield found
    await found.cleanup()


def made(folder: Path, **settings: Any) -> BrowserProver:
    """Return a prover that keeps its pictures in the test's folder."""
    given = {"screenshots": folder / "shots", "settle_seconds": 1.0, **settings}
    return BrowserProver(BrowserSettings(**given))


def descendants() -> dict[int, str]:
    """Return the processes below this one, by their ids."""
    parents: dict[int, tuple[int, str]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            try:
                text = (entry / "stat").read_text()
            except OSError:
                continue
            name, _, rest = text.partition("(")[2].rpartition(")")
            state, parent = rest.split()[:2]
            if state not in "ZX":
                parents[int(entry.name)] = (int(parent), name)
    found: dict[int, str] = {}
    mine = {os.getpid()}
    while mine:
        mine = {pid for pid, (parent, _) in parents.items() if parent in mine} - found.keys()
        found |= {pid: parents[pid][1] for pid in mine}
    return found


def strike(pids: set[int], by: signal.Signals) -> None:
    """Send a signal to whoever of *pids* still lives."""
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, by)


async def gone(pids: set[int]) -> set[int]:
    """Return who of *pids* still lives after a while."""
    for _ in range(100):
        alive = {pid for pid in pids if "\nState:\tZ" not in _status(pid)}
        if not alive:
            break
        await asyncio.sleep(0.05)
    return alive


def _status(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return "\nState:\tZ"


def picture_of(proof: Proof) -> bytes:
    """Return the picture of a proof, which is its owner's alone."""
    path = Path(str(proof.facts["screenshot"]))
    assert path.stat().st_mode & 0o077 == 0
    return path.read_bytes()


def asserts(proof: Proof) -> dict[str, bool]:
    """Return what was asserted, and whether it was so."""
    told: Any = proof.facts["asserts"]
    return {each["what"]: each["ok"] for each in told}


@needs_chromium
async def test_a_page_as_it_should_be_is_proved_with_a_picture(
    prover: BrowserProver, site: Site, tmp_path: Path
) -> None:
    """The proof says what was seen and how; the picture is named after its digest."""
    check = UICheck(
        url="/shop",
        visible=["#head", "text=Orders"],
        hidden=["#spinner", "#absent"],
        text={".total": "Total: 3 items"},
        title="Shop",
    )
    proof = await prover.prove(check, user=USER, prod_url=site.url, captured={})
    assert (proof.outcome, proof.kind, proof.subject) == (
        ProofOutcome.PASSED,
        "ui",
        f"{site.url}/shop",
    )
    assert asserts(proof) == {
        "status": True,
        "console errors": True,
        "visible #head": True,
        "visible text=Orders": True,
        "hidden #spinner": True,
        "hidden #absent": True,
        "text .total": True,
        "title": True,
    }
    facts = {name: proof.facts[name] for name in ("check", "user", "attempts", "flaky", "error")}
    assert facts == {
        "check": check.identity,
        "user": USER,
        "attempts": 1,
        "flaky": False,
        "error": None,
    }
    data = picture_of(proof)
    hexed = hashlib.sha256(data).hexdigest()
    assert data.startswith(PNG)
    assert proof.facts["screenshot"] == str(tmp_path / "shots" / f"{hexed}.png")
    assert proof.digests == {"screenshot": f"sha256:{hexed}"}
    assert proof.facts["screenshot_digest"] == f"sha256:{hexed}"


@needs_chromium
async def test_defect_validation_a7_a_page_that_is_not_as_it_should_be_fails(
    prover: BrowserProver, site: Site
) -> None:
    """Whatever its status: what is missing is named, and a picture is evidence of that too."""
    wrong = UICheck(
        url="/shop",
        visible=["#pay"],
        hidden=["#head"],
        text={".total": "4 items", "#absent": "x"},
        title="Cart",
    )
    proof = await prover.prove(wrong, user=USER, prod_url=site.url, captured={})
    assert proof.outcome is ProofOutcome.FAILED
    assert [what for what, ok in asserts(proof).items() if not ok] == [
        "visible #pay",
        "hidden #head",
        "text .total",
        "text #absent",
        "title",
    ]
    assert "#pay" in str(proof.facts["error"])
    assert "Orders" in proof.excerpts["page"]
    assert picture_of(proof).startswith(PNG)
    absent = await prover.prove(UICheck(url="/gone"), user=USER, prod_url=site.url, captured={})
    assert (absent.outcome, absent.facts["status"]) == (ProofOutcome.FAILED, 404)


@needs_chromium
async def test_a_page_has_some_time_to_become_as_it_should_be(
    prover: BrowserProver, site: Site
) -> None:
    """What is drawn later counts, and so does what goes away later."""
    check = UICheck(url="/late", visible=["#done"], hidden=["#spinner"], timeout=30)
    proof = await prover.prove(check, user=USER, prod_url=site.url, captured={})
    assert (proof.outcome, proof.facts["flaky"]) == (ProofOutcome.PASSED, False)


@needs_chromium
@pytest.mark.parametrize(
    ("path", "wrong"),
    [("/spoils", {"hidden #spinner"}), ("/leaves", {"status", "visible #head"})],
)
async def test_a_page_has_to_stay_as_it_should_be(
    path: str, wrong: set[str], prover: BrowserProver, site: Site
) -> None:
    """What goes wrong just after it was right, or leads to an error by a script, is no pass."""
    check = UICheck(
        url=path, visible=["#head"], hidden=["#spinner"], console_errors=True, timeout=30
    )
    proof = await prover.prove(check, user=USER, prod_url=site.url, captured={})
    assert proof.outcome is ProofOutcome.FAILED
    assert {what for what, ok in asserts(proof).items() if not ok} == wrong


@needs_chromium
@pytest.mark.parametrize(
    ("path", "why"),
    [("/lost", "not allowed"), ("/dead", "does not answer"), ("/empties", "about:")],
)
async def test_a_page_that_leads_nowhere_by_a_script_fails(
    path: str, why: str, prover: BrowserProver, site: Site, stranger: Site
) -> None:
    """What the browser shows in its place is no page of production, whatever its status was."""
    site.others["url"] = stranger.url
    proof = await prover.prove(UICheck(url=path), user=USER, prod_url=site.url, captured={})
    assert proof.outcome is ProofOutcome.FAILED
    assert why in str(proof.facts["error"])
    assert stranger.heard == []


@needs_chromium
async def test_errors_of_the_console_fail_a_page_unless_they_are_allowed(
    prover: BrowserProver, site: Site
) -> None:
    """Uncaught exceptions are such; an icon that is missing is none."""
    check = UICheck(url="/broken")
    proof = await prover.prove(check, user=USER, prod_url=site.url, captured={})
    assert (proof.outcome, asserts(proof)["console errors"]) == (ProofOutcome.FAILED, False)
    assert proof.excerpts["console"].splitlines()[0] == "no"
    assert "uncaught" in proof.excerpts["console"]
    allowed = check.model_copy(update={"console_errors": True})
    proof = await prover.prove(allowed, user=USER, prod_url=site.url, captured={})
    assert proof.outcome is ProofOutcome.PASSED


@needs_chromium
async def test_what_passes_only_later_is_told_as_flaky(prover: BrowserProver, site: Site) -> None:
    """It passes, with how often it was tried and what was wrong before."""
    check = UICheck(url="/flaps", visible=["#head"], attempts=3)
    proof = await prover.prove(check, user=USER, prod_url=site.url, captured={})
    assert proof.outcome is ProofOutcome.PASSED
    assert (proof.facts["attempts"], proof.facts["flaky"]) == (2, True)
    assert proof.facts["earlier"] == ["not as expected: visible #head"]


@needs_chromium
async def test_defect_validation_c7_a_page_reaches_no_host_that_is_not_allowed(
    prover: BrowserProver, site: Site, stranger: Site
) -> None:
    """Neither by what it loads nor by where it redirects; what was refused is told."""
    site.others["url"] = stranger.url
    proof = await prover.prove(
        UICheck(url="/strangers", visible=["h1"]), user=USER, prod_url=site.url, captured={}
    )
    assert proof.outcome is ProofOutcome.PASSED
    assert proof.facts["blocked"] == {f"localhost:{stranger.port}": 1}
    away = await prover.prove(UICheck(url="/away"), user=USER, prod_url=site.url, captured={})
    assert away.outcome is ProofOutcome.FAILED
    assert "not allowed" in str(away.facts["error"])
    with pytest.raises(PermissionDeniedError):
        await prover.prove(
            UICheck(url=f"{stranger.url}/shop"), user=USER, prod_url=site.url, captured={}
        )
    assert stranger.heard == []


@needs_chromium
async def test_hosts_that_are_named_are_reached(site: Site, stranger: Site, tmp_path: Path) -> None:
    """Also when they answer only after a redirect."""
    site.others["url"] = stranger.url
    prover = made(tmp_path, allow_hosts=[f"127.0.0.1:{stranger.port}"])
    try:
        check = UICheck(url="/away", visible=["#head"])
        proof = await prover.prove(check, user=USER, prod_url=site.url, captured={})
        assert (proof.outcome, proof.subject) == (ProofOutcome.PASSED, f"{stranger.url}/shop")
    finally:
        await prover.cleanup()
    assert stranger.paths() == ["/shop"]


@needs_chromium
@pytest.mark.parametrize("path", ["/silent", "/stuck"])
async def test_defect_validation_b2_a_page_takes_no_longer_than_its_limit(
    prover: BrowserProver, site: Site, path: str
) -> None:
    """Whether nothing comes or the page never rests; the next check is not held up."""
    await prover.prove(UICheck(url="/shop"), user=USER, prod_url=site.url, captured={})
    check = UICheck(url=path, timeout=2.0)
    async with asyncio.timeout(30):
        proof = await prover.prove(check, user=USER, prod_url=site.url, captured={})
    assert proof.outcome is ProofOutcome.FAILED
    assert "in time" in str(proof.facts["error"]) or "longer" in str(proof.facts["error"])
    after = await prover.prove(UICheck(url="/shop"), user=USER, prod_url=site.url, captured={})
    assert after.outcome is ProofOutcome.PASSED


@needs_chromium
async def test_production_that_does_not_answer_fails(prover: BrowserProver) -> None:
    """It was asked, and nobody was there."""
    nobody = f"http://127.0.0.1:{free_port()}"
    proof = await prover.prove(UICheck(url="/"), user=USER, prod_url=nobody, captured={})
    assert proof.outcome is ProofOutcome.FAILED
    assert "does not answer" in str(proof.facts["error"])


@needs_chromium
async def test_defect_validation_c3_secrets_show_nowhere(prover: BrowserProver, site: Site) -> None:
    """Neither what earlier checks captured, nor the password of an address."""
    check = UICheck(
        url="/secret?token=${ captured.token }", text={"#t": "${ captured.token }"}, visible=["#no"]
    )
    captured = {"token": "s3cr3t-of-session"}
    proof = await prover.prove(check, user=USER, prod_url=site.url, captured=captured)
    assert (proof.outcome, asserts(proof)["text #t"]) == (ProofOutcome.FAILED, True)
    assert "s3cr3t" not in json.dumps(proof.as_json())
    private = f"http://me:hunter2hunter2@127.0.0.1:{site.port}/private"
    welcome = UICheck(url=private, visible=["h1"], console_errors=True)
    proof = await prover.prove(welcome, user=USER, prod_url=site.url, captured={})
    assert (proof.outcome, proof.subject) == (ProofOutcome.PASSED, f"{site.url}/private")
    assert "hunter2" not in json.dumps(proof.as_json())


@needs_chromium
async def test_defect_validation_c3_what_looks_like_a_key_is_masked(
    prover: BrowserProver, site: Site
) -> None:
    """Nobody declared it; the page and its console show it, the proof does not."""
    check = UICheck(url="/shows?token=t0ken-of-the-check", visible=["#no"], text={"body": "key:"})
    proof = await prover.prove(check, user=USER, prod_url=site.url, captured={})
    assert (proof.outcome, asserts(proof)["text body"]) == (ProofOutcome.FAILED, True)
    told = json.dumps(proof.as_json())
    assert "Orders" in told
    assert KEY not in told
    assert "t0ken" not in told


@needs_chromium
async def test_what_a_page_still_waits_for_at_its_end_is_let_go_of_quietly(
    prover: BrowserProver, site: Site
) -> None:
    """Nothing is told of its connections to whoever runs the check."""
    told: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, said: told.append(said))
    check = UICheck(url="/waits", visible=["#head"])
    proof = await prover.prove(check, user=USER, prod_url=site.url, captured={})
    await asyncio.sleep(0.1)
    assert (proof.outcome, told) == (ProofOutcome.PASSED, [])


@needs_chromium
async def test_what_cannot_be_looked_at_is_inconclusive(prover: BrowserProver, site: Site) -> None:
    """A selector that is none proves nothing about the page."""
    check = UICheck(url="/shop", visible=["#head", "div[["])
    proof = await prover.prove(check, user=USER, prod_url=site.url, captured={})
    assert proof.outcome is ProofOutcome.INCONCLUSIVE
    assert "div[[" in str(proof.facts["error"])


async def test_a_check_that_refers_to_nothing_is_refused(tmp_path: Path) -> None:
    """Before a browser is begun."""
    prover = made(tmp_path)
    for url in ("/x?${ captured.absent }", "ftp://example.com/x", "/path"):
        with pytest.raises(InvalidRequestError):
            await prover.prove(UICheck(url=url), user=USER, prod_url="", captured={})


@needs_chromium
async def test_a_picture_that_is_too_large_is_kept_smaller_or_not_at_all(
    site: Site, tmp_path: Path
) -> None:
    """The check is proved all the same, and why there is none is told."""
    prover = made(tmp_path, max_screenshot_bytes=1_000)
    try:
        check = UICheck(url="/shop")
        proof = await prover.prove(check, user=USER, prod_url=site.url, captured={})
        assert proof.outcome is ProofOutcome.PASSED
        assert "screenshot" not in proof.facts
        assert "bytes" in str(proof.facts["screenshot_missing"])
    finally:
        await prover.cleanup()


@needs_chromium
async def test_cleanup_leaves_no_process(site: Site, tmp_path: Path) -> None:
    """Neither after checks nor when it comes in the midst of one; and a prover goes on after it."""
    before = set(descendants())
    prover = made(tmp_path)
    await prover.prove(UICheck(url="/shop"), user=USER, prod_url=site.url, captured={})
    during = descendants()
    ours = set(during) - before
    assert any("chrom" in during[pid] for pid in ours)
    await prover.cleanup()
    assert await gone(ours) == set()
    proof = await prover.prove(UICheck(url="/shop"), user=USER, prod_url=site.url, captured={})
    assert proof.outcome is ProofOutcome.PASSED
    ours = set(descendants()) - before
    await prover.cleanup()
    assert await gone(ours) == set()


@needs_chromium
async def test_a_cancelled_start_leaves_no_process(site: Site, tmp_path: Path) -> None:
    """Wherever it was cut short."""
    before = set(descendants())
    for pause in (0.0, 0.3, 0.9):
        prover = made(tmp_path)
        check = UICheck(url="/silent")
        task = asyncio.ensure_future(prover.prove(check, user=USER, prod_url=site.url, captured={}))
        await asyncio.sleep(pause)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        left = set(descendants()) - before
        await prover.cleanup()
        assert await gone(left) == set()


@needs_chromium
@pytest.mark.parametrize("is_browser", [True, False], ids=["browser", "driver"])
async def test_a_browser_that_died_is_begun_anew(
    is_browser: bool, prover: BrowserProver, site: Site
) -> None:
    """The check that it, or Playwright's driver, died in proves nothing; the next one is done."""
    before = set(descendants())
    await prover.prove(UICheck(url="/shop"), user=USER, prod_url=site.url, captured={})
    check = UICheck(url="/silent", timeout=30)
    task = asyncio.ensure_future(prover.prove(check, user=USER, prod_url=site.url, captured={}))
    await site.waits.wait()
    ours = {pid: name for pid, name in descendants().items() if pid not in before}
    strike({pid for pid, name in ours.items() if ("chrom" in name) is is_browser}, signal.SIGKILL)
    proof = await task
    assert proof.outcome is ProofOutcome.INCONCLUSIVE
    again = await prover.prove(UICheck(url="/shop"), user=USER, prod_url=site.url, captured={})
    assert again.outcome is ProofOutcome.PASSED
    assert await gone(set(ours)) == set()


@needs_chromium
async def test_a_browser_that_hangs_is_begun_anew(prover: BrowserProver, site: Site) -> None:
    """It is not production that does not answer, and nothing is left of it."""
    before = set(descendants())
    await prover.prove(UICheck(url="/shop"), user=USER, prod_url=site.url, captured={})
    ours = {pid: name for pid, name in descendants().items() if pid not in before}
    strike({pid for pid, name in ours.items() if "chrom" in name}, signal.SIGSTOP)
    proof = await prover.prove(UICheck(url="/shop"), user=USER, prod_url=site.url, captured={})
    assert proof.outcome is ProofOutcome.PASSED
    assert await gone(set(ours)) == set()


@pytest.fixture
def without_playwright(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """An install without the extra."""
    real = builtins.__import__

    def refuse(name: str, *rest: Any, **more: Any) -> Any:
        if name.split(".")[0] == "playwright":
            raise ImportError(name)
        return real(name, *rest, **more)

    monkeypatch.setattr(builtins, "__import__", refuse)
    yield
    monkeypatch.undo()


async def test_defect_validation_a1_without_the_extra_nothing_passes(
    without_playwright: None, tmp_path: Path
) -> None:
    """It could not be checked; the proof says what to install."""
    program = tmp_path / "chromium"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    prover = made(tmp_path, executable=str(program))
    check = UICheck(url="/")
    proof = await prover.prove(check, user=USER, prod_url="http://127.0.0.1:1", captured={})
    assert proof.outcome is ProofOutcome.INCONCLUSIVE
    assert proof.facts["hint"] == "install oneiric[ui]"


async def test_defect_validation_a1_without_a_browser_nothing_passes(tmp_path: Path) -> None:
    """Nor with one that does not start."""
    absent = made(tmp_path, executable=str(tmp_path / "absent"))
    check = UICheck(url="/")
    proof = await absent.prove(check, user=USER, prod_url="http://127.0.0.1:1", captured={})
    assert proof.outcome is ProofOutcome.INCONCLUSIVE
    assert proof.facts["hint"] == "apt install chromium"
    program = tmp_path / "chromium"
    program.write_text("#!/bin/sh\nexit 3\n")
    program.chmod(0o755)
    broken = made(tmp_path, executable=str(program))
    proof = await broken.prove(check, user=USER, prod_url="http://127.0.0.1:1", captured={})
    assert proof.outcome is ProofOutcome.INCONCLUSIVE
    assert "does not start" in str(proof.facts["error"])
    assert (proof.facts["attempts"], "screenshot" in proof.facts) == (0, False)
