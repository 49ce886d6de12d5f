"""Where production and the repository are, and who we are: as users write it."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, SecretStr

from oneiric.documents import line_of, locate, parse
from oneiric.documents.model import refused, validate_settings
from oneiric.domains.host import Host, host
from oneiric.domains.settings import DomainSettings
from oneiric.errors import ConfigError, InvalidError, JSONValue
from oneiric.files import read_bounded
from oneiric.validation.addresses import has_parts
from oneiric.validation.settings import ValidationSettings
from oneiric.validation.targets import checked_url

NAMES = (".snipara-orchestrator.json", ".agentic.json")
"""What the file is called; the first counts where both are in one folder."""

MAX_BYTES = 1 << 20
_OTHERS = 0o077
_SNIPARA = "snipara"
_log = logging.getLogger(__name__)


def _address(url: str) -> str:
    if not url:
        return url
    if has_parts(url):
        raise refused("it is scheme, host and path, without credentials; send the rest apart")
    try:
        return checked_url(url).rstrip("/")
    except InvalidError as error:
        raise refused(error.message) from None


def _folder(path: Path) -> Path:
    if not path.is_dir():
        raise refused(f"there is no folder {path}")
    return path.resolve()


class OrchestratorConfig(BaseModel):
    """Say where production and the repository are, and how a validation goes about them.

    >>> config = OrchestratorConfig(prod_url="https://api.example.com/", repo_path=".")
    >>> config.prod_url, config.fail_fast_on_drift
    ('https://api.example.com', True)
    """

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    snipara_api_key: SecretStr | None = None
    """The key of the hosted knowledge; without one the embedded knowledge is asked."""
    snipara_project: str = Field(default="", max_length=500)
    """The project there: an id, a slug, or `owner/repo`."""
    snipara_api_url: Annotated[str, AfterValidator(_address)] = ""
    """Where it is hosted, if not at the usual place."""
    prod_url: Annotated[str, AfterValidator(_address)]
    """The address of production."""
    repo_path: Annotated[Path, AfterValidator(_folder)] = Field(
        default=Path(), validate_default=True
    )
    """The repository; programs run there, and there the journal and the ledger are."""
    test_user: str = Field(default="test@example.com", max_length=500)
    """As whom checks say that they test."""
    gatekeeper_id: str = Field(default="orchestrator-gatekeeper", max_length=200)
    """By which name gates say who decided."""
    fail_fast_on_drift: bool = True
    """Whether drift shuts the gate before production is asked."""
    auto_remember: bool = True
    """Whether what came of a task is remembered; never output, nor anything of an answer."""
    verbose: bool = True
    """Whether commands tell each step as it happens."""
    warnings: tuple[str, ...] = Field(default=(), exclude=True, repr=False)
    """What `load` noticed, such as a key in a file that others can read."""

    @classmethod
    def load(
        cls, folder: Path | str = ".", *, path: Path | None = None, profile: str | None = None
    ) -> Self:
        """Read the file of *folder*, or of the nearest folder above that has one.

        Where there is no file, production has no address unless the others say it. The environment
        outranks it, and so does the section `[validation]` of the configuration
        in that folder. A path of the file starts at the file's own folder.

        Raises:
            ConfigError: everything that is wrong, each with where it was written.
            DocumentError: the file is not one strict JSON object.
        """
        start = Path(folder).resolve()
        own = found_file(start)
        home = own.parent if own else start
        data = read_bounded(own, limit=MAX_BYTES) if own else b"{}"
        values = parse(data, "json", source=str(own or start))
        if not isinstance(values, Mapping):
            raise ConfigError(f"{own} holds no table of settings")
        file = dict(values)
        if isinstance(repo := file.get("repo_path"), str):
            file["repo_path"] = str(home / repo)
        file.setdefault("repo_path", str(home))
        if own is None:
            file["prod_url"] = ""  # who asks for none of its paths needs no address of production
        over = dict(_outranking(host(path=path, profile=profile, folder=home, checkpoints=False)))
        lines = locate(data, "json")

        def origin(key: str) -> str:
            name = key.partition(".")[2]
            line = line_of(lines, name)
            if name in over:
                return "the environment, or the configuration"
            return str(own or start) if line is None else f"{own}:{line}"

        config = validate_settings(cls, file | over, key="orchestrator", origin_of=origin)
        warnings = _warnings(own, file)
        return config.model_copy(update={"warnings": warnings})

    def over(self, settings: ValidationSettings) -> ValidationSettings:
        """Return the settings of the section with what is said here laid over them."""
        names = ValidationSettings.model_fields.keys() & type(self).model_fields.keys()
        said = {name: getattr(self, name) for name in names}
        return settings.model_copy(update={**said, "repo_path": str(self.repo_path)})


def found_file(folder: Path) -> Path | None:
    """Return the file of settings in *folder*, or in the nearest folder above."""
    for each in (folder, *folder.parents):
        for name in NAMES:
            if (path := each / name).is_file():
                return path
    return None


def _outranking(on: Host) -> Iterator[tuple[str, JSONValue]]:
    """Yield what configuration and environment say, where they say anything."""
    settings, adapters = on.section("validation"), on.section("adapters")
    for name in settings.model_fields_set & OrchestratorConfig.model_fields.keys():
        yield name, getattr(settings, name)
    assert isinstance(adapters, DomainSettings)
    hosted = adapters.provider_settings.get(_SNIPARA, {})
    names = {"api_key": "snipara_api_key", "project": "snipara_project"}
    for name, ours in {**names, "base_url": "snipara_api_url"}.items():
        if isinstance(value := hosted.get(name), str):
            yield ours, value


def _warnings(path: Path | None, values: Mapping[str, JSONValue]) -> tuple[str, ...]:
    if path is None or not values.get("snipara_api_key"):
        return ()
    if not path.stat().st_mode & _OTHERS:
        return ()
    _log.warning("key-readable-by-others path=%r", str(path))
    return (f"others can read the key in {path}: chmod 600 {path}, or set SNIPARA_API_KEY",)
