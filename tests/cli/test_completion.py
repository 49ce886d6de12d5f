"""What the shell completes, through the protocol that typer's scripts speak."""

import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.acceptance.commands import environment, oneiric

BASH = "complete_bash"
ZSH = "complete_zsh"


def in_bash(line: str, folder: Path, more: Mapping[str, str] | None = None) -> set[str]:
    """Return what bash offers at the end of *line*, which bash splits at colons too."""
    words = line.replace(":", " : ").split() + ([""] if line.endswith(" ") else [])
    variables = {
        "_ONEIRIC_COMPLETE": BASH,
        "COMP_WORDS": "\n".join(words),
        "COMP_CWORD": str(len(words) - 1),
        **(more or {}),
    }
    finished = oneiric(folder=folder, variables=variables)
    assert (finished.code, finished.err) == (0, "")
    return set(finished.out.split())


def in_zsh(line: str, folder: Path) -> str:
    """Return the command by which zsh offers what it completes at the end of *line*."""
    variables = {"_ONEIRIC_COMPLETE": ZSH, "_TYPER_COMPLETE_ARGS": line}
    finished = oneiric(folder=folder, variables=variables)
    assert (finished.code, finished.err) == (0, "")
    return finished.out


CASES = [
    ("oneiric --demo explain service:", {"notification", "payment", "status"}),
    ("oneiric --demo explain service:p", {"payment"}),
    ("oneiric --demo explain serv", {"service:notification", "service:payment", "service:status"}),
    ("oneiric --demo explain pay", {"payment"}),
    ("oneiric --demo explain --domain task demo-", {"demo-pause", "demo-say", "demo-words"}),
    ("oneiric --demo explain --key pay", {"payment"}),
    ("oneiric --demo swap service:payment --provider ", {"ledger", "sandbox"}),
    ("oneiric --demo swap payment --provider l", {"ledger"}),
    ("oneiric --demo explain --domain service --key payment --provider ", {"ledger", "sandbox"}),
    ("oneiric swap adapter:secrets --provider e", {"env"}),
    ("oneiric --demo pause service:p", {"payment"}),
    ("oneiric --demo drain pay", {"payment"}),
    ("oneiric resume ", set()),
    ("oneiric activity --domain ta", {"task"}),
    ("oneiric list --domain a", {"adapter", "action"}),
    ("oneiric status --domain wo", {"workflow"}),
    ("oneiric --profile s", {"serverless", "site"}),
    ("oneiric config s", {"show"}),
]


@pytest.mark.parametrize(("line", "expected"), CASES)
def test_bash_completes_the_values_of_arguments_and_options(
    line: str, expected: set[str], tmp_path: Path
) -> None:
    """References, keys, providers, domains and profiles; of a reference what follows its colon."""
    own = "[plugins]\nauto_load = false\n"
    (tmp_path / "oneiric.toml").write_text(f"{own}[profiles.site.app]\nname = 'site'\n")

    assert in_bash(line, tmp_path) == expected


def test_a_resume_completes_what_is_stored(tmp_path: Path) -> None:
    """Only what is paused or draining can be resumed, offered by somebody or not."""
    oneiric("--demo", "pause", "service:payment", folder=tmp_path)
    oneiric("--demo", "drain", "task:demo-words@all", folder=tmp_path)

    found = {"service:payment", "task:demo-words@all"}
    assert in_bash("oneiric resume ", tmp_path) == found
    assert in_bash("oneiric resume service:p", tmp_path) == {"payment"}


def test_zsh_completes_whole_references(tmp_path: Path) -> None:
    """zsh does not split at a colon; in what it is given a colon is escaped."""
    out = in_zsh("oneiric --demo explain service:p", tmp_path)

    assert out == "_arguments '*: :((\"service\\\\:payment\"))'\n"
    assert '"sandbox"' in in_zsh("oneiric --demo swap service:payment --provider ", tmp_path)


@pytest.mark.parametrize(
    "text", ["[app]\nnmae = 1\n", "= nonsense", "[resolver]\nstack_order = 'a:1,b:0'\n"]
)
def test_completion_is_silent_where_the_configuration_is_wrong(text: str, tmp_path: Path) -> None:
    """There is nothing to offer, and no error in the middle of a command line."""
    (tmp_path / "oneiric.toml").write_text(text)

    assert in_bash("oneiric explain ad", tmp_path) == set()
    assert in_bash("oneiric swap adapter:cache --provider ", tmp_path) == set()
    assert in_bash("oneiric --profile ", tmp_path) <= {"default", "serverless"}
    assert in_bash("oneiric --config nowhere.toml explain ad", tmp_path) == set()
    assert in_bash("oneiric list --domain s", tmp_path) == {"service"}


def test_completion_writes_no_file(tmp_path: Path) -> None:
    """It looks and leaves no trace."""
    in_bash("oneiric --demo explain ", tmp_path)

    assert list(tmp_path.iterdir()) == []


SCRIPT = """
eval "$(_ONEIRIC_COMPLETE=source_bash oneiric)"
COMP_WORDS=(oneiric --demo explain service : pay)
COMP_CWORD=5
_oneiric_completion oneiric
echo "${COMPREPLY[@]}"
"""


def test_the_script_for_bash_works_in_bash(tmp_path: Path) -> None:
    """The function that the script defines finds the word to put after the colon."""
    program = tmp_path / "oneiric"
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -m oneiric.cli "$@"\n')
    program.chmod(0o755)
    path = f"{tmp_path}:{environment()['PATH']}"
    done = subprocess.run(
        ["bash", "-c", SCRIPT],
        cwd=tmp_path,
        env=environment({"PATH": path}),
        capture_output=True,
        text=True,
        check=False,
    )

    assert (done.returncode, done.stdout, done.stderr) == (0, "payment\n", "")


def test_the_ids_of_runs_are_completed(tmp_path: Path) -> None:
    """Where there are runs: by the beginning of one, for whichever verb."""
    assert in_bash("oneiric run resume ", tmp_path) == set()
    asked = ("workflow", "run", "word-report", "--json")
    run_id = oneiric("--demo", *asked, folder=tmp_path).document["run_id"]

    assert in_bash(f"oneiric run show {run_id[:4]}", tmp_path) == {run_id}
    assert in_bash("oneiric workflow show ", tmp_path) == {run_id}
    assert in_bash("oneiric run retry nope", tmp_path) == set()
