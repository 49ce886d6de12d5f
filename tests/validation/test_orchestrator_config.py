"""Where production and the repository are: as users write it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import pytest
from pydantic import BaseModel, Field, SecretStr, ValidationError

from oneiric.core.candidate import Candidate
from oneiric.errors import ConfigError, DocumentError
from oneiric.validation.config import OrchestratorConfig
from oneiric.validation.orchestrator import Orchestrator

KEY = "snp-sekrit"


def written(folder: Path, name: str = ".snipara-orchestrator.json", **fields: Any) -> Path:
    """Put a file there that only its owner can read."""
    path = folder / name
    path.write_text(json.dumps({"prod_url": "https://api.example.com", **fields}))
    path.chmod(0o600)
    return path


@pytest.fixture(autouse=True)
def bare(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let no variable of whoever runs the tests count."""
    for name in ("PROD_URL", "REPO_PATH", "SNIPARA_API_KEY", "SNIPARA_API_URL", "SNIPARA_PROJECT"):
        monkeypatch.delenv(name, raising=False)


def test_the_fields_of_the_brief_are_taken_and_checked(tmp_path: Path) -> None:
    """A key shows nowhere, and no address or folder is taken on trust."""
    config = OrchestratorConfig(
        snipara_api_key=KEY,  # type: ignore[arg-type]
        snipara_project="p",
        prod_url="https://api.example.com",
        repo_path=tmp_path,
        test_user="a@b",
    )
    assert KEY not in repr(config) + config.model_dump_json()
    for wrong in (
        {"prod_url": "api.example.com"},
        {"repo_path": tmp_path / "none"},
        {"prodUrl": 1},
    ):
        with pytest.raises(ValidationError):
            OrchestratorConfig(**{"prod_url": "https://x", "repo_path": tmp_path, **wrong})  # type: ignore[arg-type]


@pytest.mark.parametrize("name", [".snipara-orchestrator.json", ".agentic.json"])
def test_defect_validation_b10_the_file_is_found_here_and_above(tmp_path: Path, name: str) -> None:
    """By either of its names; a path in it starts at its own folder."""
    inner = tmp_path / "a" / "b"
    inner.mkdir(parents=True)
    written(tmp_path, name, test_user="ada@example.com", repo_path="a")
    config = OrchestratorConfig.load(inner)
    assert config.test_user == "ada@example.com"
    assert config.repo_path == tmp_path / "a"
    assert config.warnings == ()


def test_the_environment_outranks_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each variable by itself; what none says the file does."""
    written(tmp_path, snipara_project="filed", test_user="ada@example.com")
    monkeypatch.setenv("PROD_URL", "https://other.example.com")
    monkeypatch.setenv("SNIPARA_API_KEY", KEY)
    monkeypatch.setenv("SNIPARA_PROJECT", "from-env")
    config = OrchestratorConfig.load(tmp_path)
    assert config.prod_url == "https://other.example.com"
    assert config.snipara_project == "from-env"
    assert config.snipara_api_key is not None
    assert config.snipara_api_key.get_secret_value() == KEY
    assert config.test_user == "ada@example.com"


def test_what_a_variable_says_wrongly_is_no_fault_of_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The error does not send its reader to a line that is right."""
    file = tmp_path / ".snipara-orchestrator.json"
    file.write_text('{"prod_url": "https://api.example.com"}')
    monkeypatch.setenv("PROD_URL", "nowhere")
    with pytest.raises(ConfigError) as caught:
        OrchestratorConfig.load(tmp_path)

    assert "environment" in caught.value.render()
    assert str(file) not in caught.value.render()


def test_defect_validation_b14_all_that_is_wrong_is_told_with_its_line(tmp_path: Path) -> None:
    """Unknown keys with the nearest spelling; a missing one by name."""
    path = tmp_path / ".agentic.json"
    path.write_text('{\n "fail_fast_on_drfit": false,\n "repo_path": "none",\n "verbose": "x"\n}')
    with pytest.raises(ConfigError) as raised:
        OrchestratorConfig.load(tmp_path)
    found = {each.key: (each.what, each.origin) for each in raised.value.problems}
    assert found["orchestrator.fail_fast_on_drfit"] == (
        "unknown key; did you mean fail_fast_on_drift?",
        f"{path}:2",
    )
    assert found["orchestrator.repo_path"][1] == f"{path}:3"
    assert found["orchestrator.verbose"][1] == f"{path}:4"
    assert found["orchestrator.prod_url"][0] == "it is required"


@pytest.mark.parametrize("text", ["[1]", "{", '{"prod_url": "https://a", "prod_url": "https://b"}'])
def test_defect_validation_b14_a_broken_file_is_told_so(tmp_path: Path, text: str) -> None:
    """In one error with its name, and no traceback of a library."""
    (tmp_path / ".agentic.json").write_text(text)
    with pytest.raises((ConfigError, DocumentError), match=r"agentic\.json"):
        OrchestratorConfig.load(tmp_path)


def test_defect_validation_c2_a_key_that_others_can_read_is_warned_about(tmp_path: Path) -> None:
    """What to do about it, too; the key itself is not repeated."""
    path = written(tmp_path, snipara_api_key=KEY)
    assert OrchestratorConfig.load(tmp_path).warnings == ()
    path.chmod(0o644)
    (warning,) = OrchestratorConfig.load(tmp_path).warnings
    assert str(path) in warning
    assert "chmod 600" in warning
    assert KEY not in warning


class HostedSettings(BaseModel):
    """Settings of which one is needed."""

    api_key: Annotated[SecretStr, Field(min_length=3)]
    project: str = ""
    base_url: str = "https://api.snipara.com"


class Hosted:
    """Knowledge that needs a key."""

    def __init__(self, settings: HostedSettings) -> None:
        self.settings = settings


async def test_the_hosted_knowledge_is_given_the_key_and_the_project(tmp_path: Path) -> None:
    """What the configuration says of it counts, and what nobody says is as it is by default."""
    (tmp_path / "oneiric.toml").write_text(
        "[adapters.provider_settings.snipara]\nproject = 'toml'\n"
    )
    config = OrchestratorConfig(
        prod_url="https://api.example.com",
        repo_path=tmp_path,
        snipara_api_key=KEY,  # type: ignore[arg-type]
        snipara_project="python",
    )
    offer = Candidate(
        "adapter:knowledge", "snipara", Hosted, settings_model=HostedSettings, priority=100
    )
    async with Orchestrator(config) as orchestrator:
        lifecycle = orchestrator.host.lifecycle
        lifecycle.resolver.register(offer)
        async with lifecycle.use("adapter:knowledge", provider="snipara") as knowledge:
            found = knowledge.settings
    assert found.api_key.get_secret_value() == KEY
    assert (found.project, found.base_url) == ("toml", "https://api.snipara.com")


async def test_what_the_configuration_says_of_a_part_counts_over_what_it_is_given(
    tmp_path: Path,
) -> None:
    """What it does not say comes from the product."""
    (tmp_path / "oneiric.toml").write_text(
        "[adapters.provider_settings.strict]\nid = 'toml-gatekeeper'\n"
    )
    config = OrchestratorConfig(prod_url="https://api.example.com", repo_path=tmp_path)
    async with Orchestrator(config) as orchestrator:
        lifecycle = orchestrator.host.lifecycle
        async with lifecycle.use("adapter:gatekeeper") as gatekeeper:
            assert gatekeeper._settings.id == "toml-gatekeeper"
        async with lifecycle.use("adapter:executor") as executor:
            assert executor._settings.root == tmp_path
        async with lifecycle.use("adapter:ledger") as ledger:
            assert ledger._settings.folder == tmp_path / ".oneiric_cache" / "ledger"
