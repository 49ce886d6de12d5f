"""Which file configures, and where state is kept."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from os.path import lexists
from pathlib import Path

from oneiric.documents import Kind, kind_of, line_of, locate, parse
from oneiric.errors import ConfigError, InvalidPathError, JSONValue, Problem
from oneiric.files import read_bounded

NAMES = ("oneiric.toml", "oneiric.yaml", "oneiric.yml", "oneiric.json")
"""Files looked for in the folder, before `[tool.oneiric]` in `pyproject.toml`."""

_PYPROJECT = "pyproject.toml"
_TABLE = "tool.oneiric"
LIMIT = 1 << 20
"""Bytes that a configuration file may have."""


@dataclass(frozen=True, slots=True)
class CachePaths:
    """Name the files that the runtime keeps, all below one folder.

    Nothing is created here.

    >>> CachePaths.under(Path("/srv/app")).database
    PosixPath('/srv/app/.oneiric_cache/oneiric.sqlite')
    """

    root: Path

    @classmethod
    def under(cls, folder: Path) -> "CachePaths":
        """Return the paths for a working folder: `.oneiric_cache` in it."""
        return cls(folder / ".oneiric_cache")

    @property
    def database(self) -> Path:
        """Runs, leases, schedules, dead letters and selections."""
        return self.root / "oneiric.sqlite"

    @property
    def results(self) -> Path:
        """Results of steps of recipes that may serve again."""
        return self.root / "results.sqlite"

    @property
    def activity(self) -> Path:
        """What is paused or draining."""
        return self.root / "domain_activity.sqlite"

    @property
    def keys(self) -> Path:
        """The folder of private keys, mode 0700."""
        return self.root / "keys"

    @property
    def trust(self) -> Path:
        """The folder of what is remembered of each source of manifests, mode 0700."""
        return self.root / "trust"

    @property
    def remote_status(self) -> Path:
        """How the last looks at the sources went."""
        return self.root / "remote_status.json"

    @property
    def health(self) -> Path:
        """How a running orchestrator stands, as it last wrote."""
        return self.root / "runtime_health.json"

    @property
    def lock(self) -> Path:
        """What the one orchestrator of the folder holds, with its process."""
        return self.root / "orchestrator.lock"

    @property
    def log(self) -> Path:
        """What an orchestrator in the background said."""
        return self.root / "orchestrator.log"

    @property
    def telemetry(self) -> Path:
        """What was dispatched, run and swapped last."""
        return self.root / "runtime_telemetry.json"

    @property
    def control(self) -> Path:
        """The socket on which a running orchestrator is asked, mode 0600."""
        return self.root / "control.sock"

    @property
    def artifacts(self) -> Path:
        """The folder of fetched artifacts, named by digest."""
        return self.root / "artifacts"


@dataclass(frozen=True, slots=True)
class ConfigFile:
    """The tables of one configuration file and the line of each key.

    `shown` is how errors and origins name the file: as seen from the folder.
    """

    path: Path | None = None
    shown: str = "default"
    values: Mapping[str, JSONValue] = field(default_factory=dict)
    lines: Mapping[str, int] = field(default_factory=dict)
    prefix: str = ""

    def origin(self, path: str) -> str:
        """Return `oneiric.toml:12`, the line of the key or of its nearest parent."""
        line = line_of(self.lines, f"{self.prefix}{path}")
        return f"{self.shown}:{line}" if line else self.shown


def possible_files(folder: Path, *, named: Path | None) -> tuple[Path, ...]:
    """Return the files that `find_file` looks at, whether they exist or not."""
    if named is not None:
        return (folder / named,)
    return tuple(folder / name for name in (*NAMES, _PYPROJECT))


def find_file(folder: Path, *, named: Path | None) -> ConfigFile:
    """Read the file that was named, else the one that *folder* holds, else none.

    Raises:
        ConfigError: the folder holds several, or the file holds no table.
        NotFoundError: the named file does not exist.
        InvalidPathError: it is no regular file, a link to nothing, or longer than 1 MiB.
        UnavailableError: it cannot be read.
        DocumentError: it is not one strict TOML, YAML or JSON document.
    """
    if named is not None:
        path = folder / named
        return _read(path, folder, table=_TABLE if path.name == _PYPROJECT else "", named=True)
    present = [folder / name for name in NAMES if lexists(folder / name)]
    if len(present) > 1:
        raise ConfigError(
            f"{folder} holds {' and '.join(path.name for path in present)}; which one counts?",
            hint="keep one, or name it with --config",
        )
    if present:
        return _read(present[0], folder, table="", named=True)
    project = folder / _PYPROJECT
    if lexists(project):
        return _read(project, folder, table=_TABLE, named=False)
    return ConfigFile()


def _read(path: Path, folder: Path, *, table: str, named: bool) -> ConfigFile:
    shown = str(path.relative_to(folder)) if path.is_relative_to(folder) else str(path)
    kind: Kind = kind_of(path)
    if path.is_symlink() and not path.exists():
        raise InvalidPathError(shown, f"it is a link to {path.readlink()}, which does not exist")
    data = read_bounded(path, limit=LIMIT)
    values = parse(data, kind, source=shown)
    for key in filter(None, table.split(".")):
        values = values.get(key) if isinstance(values, Mapping) else None
    if values is None and table:
        if named:
            raise ConfigError(f"{shown} has no table [{table}]")
        return ConfigFile()
    if not isinstance(values, Mapping):
        what = f"it is {type(values).__name__}, not a table of sections"
        raise ConfigError(
            f"{shown} configures nothing", problems=[Problem(table or ".", what, shown)]
        )
    prefix = f"{table}." if table else ""
    return ConfigFile(path, shown, values, locate(data, kind), prefix)
