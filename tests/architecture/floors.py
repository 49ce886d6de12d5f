"""The rules of the house as data: who lives on which floor, and who may do what.

Patterns are those of `fnmatch` over paths such as `oneiric/core/ref.py`, where
`*` crosses folders.
"""

from collections.abc import Mapping
from fnmatch import fnmatchcase
from types import MappingProxyType


def words(text: str) -> frozenset[str]:
    """Return the words of *text* as a set."""
    return frozenset(text.split())


BENEATH = -1
FLOORS: Mapping[str, int] = MappingProxyType(
    {
        room: floor
        for floor, rooms in {
            BENEATH: "errors",
            0: "backoff chains clock documents expressions files front kept latency "
            "listeners machine metrics targets text to_end",
            1: "core",
            2: "runs",
            3: "ports",
            4: "domains config stores remote reports tls web",
            5: "adapters actions validation recipes coordinator gateway runtime",
            6: "shell dashboard demo",
            7: "cli testing",
        }.items()
        for room in rooms.split()
    }
)
"""Room to floor; imports go to lower floors only."""

KERNEL = ("core", "runs")
NO_IO = ("core", "runs", "ports")

DOORS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "aiosqlite": ("oneiric/stores/*", "oneiric/adapters/*sqlite*.py"),
        "sqlite3": ("oneiric/stores/*", "oneiric/adapters/*sqlite*.py"),
        "nacl": ("oneiric/remote/security.py",),
        "watchfiles": ("oneiric/config/*",),
        "yaml": ("oneiric/documents/*", "oneiric/documents.py"),
        "rfc8785": ("oneiric/documents/*", "oneiric/documents.py"),
        "typer": ("oneiric/cli/*",),
        "click": ("oneiric/cli/*",),
        "rich": ("oneiric/cli/*", "oneiric/shell/*", "oneiric/demo/*"),
        "aiohttp": (
            "oneiric/web/*",
            "oneiric/remote/*",
            "oneiric/adapters/*",
            "oneiric/runtime/*",
            "oneiric/validation/*",
            "oneiric/dashboard/*",
            "oneiric/testing/*",
            "oneiric/*/app.py",
        ),
        "opentelemetry": ("oneiric/adapters/monitoring/*",),
        "redis": ("oneiric/adapters/*",),
        "IPython": ("oneiric/shell/*",),
        "traitlets": ("oneiric/shell/*",),
        "playwright": ("oneiric/validation/providers/browsing/*",),
        "sqlalchemy": ("oneiric/validation/providers/databases/*",),
        "alembic": ("oneiric/validation/providers/databases/*",),
        "psycopg": ("oneiric/validation/providers/databases/*",),
        "jwt": ("oneiric/adapters/identity/*",),
        "cryptography": (),
        "jsonpath": ("oneiric/validation/providers/json_paths.py",),
        "jsonschema": ("oneiric/validation/providers/*",),
        "referencing": ("oneiric/validation/providers/*",),
        "regex": ("oneiric/validation/providers/patterns.py",),
    }
)
"""Library to the only files that may import it."""

OUTSIDE = words(
    "aiofiles ftplib getpass glob http io multiprocessing os pathlib pty random requests secrets "
    "select selectors shutil signal smtplib socket socketserver sqlite3 ssl subprocess tempfile "
    "termios time tty urllib.request uuid webbrowser"
).union(DOORS)
"""Modules that reach the network, disk, database, terminal, environment, time or chance."""

TIMERS = words(
    "asyncio.timeout asyncio.timeout_at asyncio.wait_for loop.time loop.call_at loop.call_later"
)
"""Names that tell the loop's time or bound a wait by it, `loop` being any name that ends so."""

OUTSIDE_CALLS = words(
    "open input date.today datetime.now datetime.today datetime.utcnow asyncio.open_connection "
    "asyncio.open_unix_connection asyncio.start_server asyncio.start_unix_server "
    "asyncio.create_subprocess_exec asyncio.create_subprocess_shell sys.stdin sys.stdout "
    "sys.stderr sys.argv"
)
"""Names that do the same without an import of their own."""

REAL_TIME = (
    "oneiric/core/guard.py",  # its limits are for code that hangs, which looks at no clock
    "oneiric/core/generation.py",  # so is the limit of a drain: a holder may never let go
)
"""Files of the kernel that may bound a wait by the loop's time; the rest asks a Clock."""

ENVIRONMENT = ("oneiric/config/load.py", "oneiric/adapters/secrets/env.py")
"""Files that may read variables, or expand a path by them: `~` is the variable HOME."""

LATE_IMPORTS = (
    "oneiric/adapters/*",
    "oneiric/shell/*",
    "oneiric/cli/*",
    "oneiric/validation/providers/*",
    "oneiric/recipes/providers/*",
    "oneiric/coordinator/providers/*",
    "oneiric/gateway/providers/*",
)
LOADERS = (
    "oneiric/front.py",  # the fronts of packages, each with a table of its names
    "oneiric/text/logs.py",  # structlog, once there is something to tell
    "oneiric/targets.py",  # what text names, under the allowed prefixes only
    "oneiric/cli/app.py",  # the command line's own table of commands
    "oneiric/documents/reader.py",  # its own table of languages
    "oneiric/remote/wheels/modules.py",  # a wheel's own modules, under its digest
    "oneiric/validation/drift/route_table.py",  # a program of its own, for somebody's application
    "oneiric/validation/providers/databases/probe.py",  # models, as a program of its own
)
"""Files that may import a module whose name is made at run time."""

BROAD_EXCEPTS = (
    "oneiric/core/guard.py",  # the one door to foreign code
    "oneiric/runtime/supervisor.py",  # the supervisor's loop
    "oneiric/web/errors.py",  # the HTTP middleware
    "oneiric/cli/app.py",  # the command line's last resort
)
TASK_OWNERS = (
    "oneiric/kept.py",
    "oneiric/core/guard.py",
    "oneiric/core/lifecycle.py",
    "oneiric/runs/engine.py",
    "oneiric/runtime/orchestrator.py",
    "oneiric/adapters/cache/multitier.py",  # its follower lives from init to cleanup
)
PRINTERS = ("oneiric/cli/*", "oneiric/demo/*", "oneiric/shell/*", "oneiric/recipes/log.py")

COMPOSERS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "Resolver": ("oneiric/runtime/orchestrator.py",),
        "LifecycleManager": ("oneiric/runtime/orchestrator.py",),
        "Registry": ("oneiric/core/resolver.py", "oneiric/core/registry.py"),  # its own parts
        "RuntimeOrchestrator": ("oneiric/runtime/operator.py", "oneiric/demo/story.py"),
        "RunEngine": ("oneiric/runtime/*",),
        "MemoryJournal": ("oneiric/runtime/*", "oneiric/runs/engine.py"),  # where none was given
        "*Journal": ("oneiric/runtime/*",),
        "*Store": ("oneiric/runtime/*",),
        "*Bridge": ("oneiric/runtime/*",),
    }
)
"""Whose making is composing, first match first, and the only files that may make one."""

COMMANDS: Mapping[str, frozenset[str]] = MappingProxyType(
    {
        "cli": words("core runs domains reports recipes validation runtime shell demo"),
        "demo": words("core domains ports runtime"),
    }
)
"""Rooms of commands to what they may import when they run, besides the ground floor."""

COMPONENTS: Mapping[str, frozenset[str]] = MappingProxyType(
    {"oneiric/demo/fulfillment/*": words("oneiric.stores.database")}
)
"""Files of those rooms that are components, to the modules that they may import as well."""

DONE_ON_IMPORT = (
    "oneiric/*__main__.py",  # which is run, not imported
    "oneiric/documents/yaml_write.py",  # completes a class of its own
)
"""Files in which a statement of a module may call something and drop what it gives."""

FORBIDDEN_NAMES = ("Helper", "Helpers", "Util", "Utils", "Base", "Impl", "Info")

ERASED = ("ComponentRef", "Handle", "Link", "Generation")
"""Generics whose `Any` says that the string form was given."""

ANY_ALLOWED: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "oneiric/core/lifecycle.py": ("use", "link"),  # given text, which names no type
    }
)
"""Kernel file to the functions that may speak of `Any`."""

KERNEL_LIMIT = 4_500
FILE_LIMIT = 400
FUNCTION_LIMIT = 60
FRONT_DOOR_LIMIT = 40


def allowed(path: str, patterns: tuple[str, ...]) -> bool:
    """Tell whether *path* matches one of *patterns*."""
    return any(fnmatchcase(path, pattern) for pattern in patterns)
