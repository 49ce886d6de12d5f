"""Two orchestrators that are started at once."""

from tests.faults.work_folder import PATIENCE_SECONDS, Folder


def test_of_two_starts_at_once_one_is_refused_and_names_the_other(folder: Folder) -> None:
    """What the one that runs says stays in its log, whoever began that anew."""
    both = [folder.start("start", "--no-http") for _ in range(2)]
    errors = [child.communicate(timeout=PATIENCE_SECONDS)[1] for child in both]
    said = sorted(zip((child.returncode for child in both), errors, strict=True))
    log = folder.path / ".oneiric_cache" / "orchestrator.log"
    pid = folder.json("process-status")["pid"]
    folder.until(lambda: f"orchestrator ready: pid {pid}" in log.read_text())

    assert folder.call("stop")[0] == 0
    assert [code for code, _ in said] == [0, 3]
    assert said[1][1].startswith("error[orchestrator-runs]: ")
    assert f"process {pid}" in said[1][1]
