"""Compare a database with what SQLAlchemy or Alembic know of it: a program of its own.

It runs what the repository brings, its models and its `env.py`, so it is never imported: it is
run by its path, also by interpreters that know nothing of us. It reads what to do from its stdin,
and writes one JSON document to its stdout; whatever else is written there goes to stderr.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
from collections.abc import Iterable, Iterator
from types import TracebackType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from alembic.config import Config
    from alembic.runtime.migration import MigrationContext
    from alembic.script import ScriptDirectory
    from sqlalchemy import MetaData

ASYNC_DRIVERS = (("asyncpg", "psycopg"), ("aiosqlite", "pysqlite"), ("aiomysql", "pymysql"))
LOOPBACK = ("127.0.0.1", "::1")
MOST = 1_000


class Answer:
    """What is answered; `stage` is what is under way, and said of a failure."""

    def __init__(self, descriptor: int) -> None:
        self.stage = "library"
        self.facts: dict[str, Any] = {}
        self._descriptor = descriptor

    def give(self) -> None:
        """Write it."""
        with open(self._descriptor, "w", encoding="utf-8") as file:  # noqa: PTH123
            json.dump(self.facts, file, default=str)

    def fail(
        self, kind: type[BaseException], error: BaseException, _: TracebackType | None
    ) -> None:
        """Write why there is none."""
        text = str(error).strip().splitlines()
        told = {"stage": self.stage, "type": kind.__name__, "message": (text or [""])[0][:500]}
        self.facts["error"] = told
        self.give()


def main() -> None:
    """Do what stdin says."""
    answer = Answer(os.dup(1))
    os.dup2(2, 1)
    sys.excepthook = answer.fail
    asked = json.load(sys.stdin)
    sys.path.insert(0, os.getcwd())  # noqa: PTH109
    if asked["alembic"]:
        history(asked, answer)
    if asked["models"]:
        models(asked, answer)
    answer.give()


def history(asked: dict[str, Any], answer: Answer) -> None:
    """Tell what migrations there are, which the database had, and what it has otherwise."""
    from alembic.config import Config
    from alembic.script import ScriptDirectory

    answer.stage = "script"
    config = Config(asked["alembic"])
    script = ScriptDirectory.from_config(config)
    revisions = [(each.revision, each.doc or "") for each in script.walk_revisions()][::-1]
    answer.facts |= {"heads": sorted(script.get_heads()), "revisions": revisions}
    if asked["url"]:
        url = asked["url"] if "+" in asked["url"].partition("://")[0] else _usable(asked["url"])
        config.set_main_option("sqlalchemy.url", url.replace("%", "%%"))
        _run(config, script, asked, answer)
        known = {revision for revision, _ in revisions}
        if (current := answer.facts.get("current")) is not None and known.issuperset(current):
            applied = {each.revision for each in script.iterate_revisions(tuple(current), "base")}
            answer.facts["pending"] = [each for each in revisions if each[0] not in applied]


def _run(config: Config, script: ScriptDirectory, asked: dict[str, Any], answer: Answer) -> None:
    """Run the repository's `env.py` up to the connection that it makes; nothing is migrated."""
    from alembic.runtime.environment import EnvironmentContext

    seen = False

    def look(_: object, context: MigrationContext) -> Iterable[Any]:
        nonlocal seen
        seen = True
        answer.stage = "compare"
        if _is_other(context, asked["url"]):
            answer.facts["other"] = True
            return ()
        answer.facts["current"] = sorted(context.get_current_heads())
        metadata = context.opts.get("target_metadata")
        if not asked["models"] and metadata is not None:
            _tell(context, metadata, answer)
        return ()

    answer.stage = "environment"
    with EnvironmentContext(config, script, fn=look, dont_mutate=True):
        script.run_env()
    answer.facts["ran"] = seen


def _is_other(context: MigrationContext, url: str) -> bool:
    """Tell whether `env.py` connected to another database than the one that is asked for."""
    from sqlalchemy import make_url

    if context.connection is None:
        return True
    own, meant = context.connection.engine.url, make_url(_usable(url))
    if own.get_backend_name() == "sqlite":
        paths = [os.path.realpath(each.database or "") for each in (own, meant)]
        return paths[0] != paths[1]
    hosts = ["localhost" if each.host in LOOPBACK else each.host for each in (own, meant)]
    ports = {own.port, meant.port} - {None}
    return hosts[0] != hosts[1] or len(ports) > 1 or own.database != meant.database


def models(asked: dict[str, Any], answer: Answer) -> None:
    """Compare the database with the metadata that a text names."""
    from alembic.runtime.migration import MigrationContext
    from sqlalchemy import create_engine
    from sqlalchemy.pool import NullPool

    answer.stage = "import"
    module, _, name = asked["models"].partition(":")
    found: Any = importlib.import_module(module)
    for part in (name or "metadata").split("."):
        found = getattr(found, part)
    metadata: MetaData = getattr(found, "metadata", found)
    if not hasattr(metadata, "sorted_tables"):
        raise TypeError("it is no metadata of SQLAlchemy, and has none")
    answer.facts["named"] = True
    if not asked["url"]:
        return
    answer.stage = "connect"
    schemas = {table.schema for table in metadata.tables.values()}

    def is_ours(name: str | None, kind: str, _: object) -> bool:
        return kind != "schema" or name in schemas

    engine = create_engine(_usable(asked["url"]), poolclass=NullPool)
    with engine.connect() as connection:
        answer.stage = "compare"
        options = {
            "compare_type": True,
            "target_metadata": metadata,
            "include_schemas": schemas != {None},
            "include_name": is_ours,
        }
        _tell(MigrationContext.configure(connection, opts=options), metadata, answer)
    engine.dispose()


def _usable(url: str) -> str:
    """Return *url* with a driver that waits, for the same database."""
    scheme, mark, rest = url.partition("://")
    base, _, driver = scheme.partition("+")
    base = "postgresql" if base == "postgres" else base
    if base == "postgresql" and not driver:
        driver = "psycopg2" if not _has("psycopg") and _has("psycopg2") else "psycopg"
    driver = dict(ASYNC_DRIVERS).get(driver, driver)
    return f"{base}+{driver}{mark}{rest}" if driver else f"{base}{mark}{rest}"


def _has(module: str) -> bool:
    from importlib.util import find_spec

    return find_spec(module) is not None


def _tell(context: MigrationContext, metadata: Any, answer: Answer) -> None:
    from alembic.autogenerate import compare_metadata

    several = metadata if isinstance(metadata, list | tuple) else [metadata]
    answer.facts["tables"] = sum(len(each.tables) for each in several)
    found = [one for each in compare_metadata(context, metadata) for one in _changes(each)]
    answer.facts["changes"] = found[:MOST]
    answer.facts["more"] = max(0, len(found) - MOST)


def _changes(told: Any) -> Iterator[dict[str, Any]]:
    """Yield a difference as a table, from what Alembic tells of it."""
    if isinstance(told, list):
        for each in told:
            yield from _changes(each)
        return
    what = told[0]
    if what.startswith("modify_"):
        _, schema, table, column, _, old, new = told
        place = _place(schema, table, column)
        yield {"what": what, "place": place, "found": _text(old), "meant": _text(new)}
    elif what.endswith("_column"):
        _, schema, table, column = told
        yield {
            "what": what,
            "place": _place(schema, table, column.name),
            "type": _text(column.type),
            "nullable": bool(column.nullable),
            "default": column.server_default is not None or column.identity is not None,
        }
    elif what.endswith("_table"):
        yield {"what": what, "place": _place(told[1].schema, told[1].name)}
    elif what.endswith(("_index", "_constraint", "_fk")):
        yield _of_table(what, told[1])


def _of_table(what: str, item: Any) -> dict[str, Any]:
    table, columns = item.table, [str(column.name) for column in item.columns]
    place = _place(table.schema, table.name, str(item.name or f"({', '.join(columns)})"))
    return {
        "what": what,
        "place": place,
        "columns": columns,
        "unique": bool(getattr(item, "unique", False)),
    }


def _place(*parts: str | None) -> str:
    return ".".join(part for part in parts if part)


def _text(value: Any) -> str:
    return value if isinstance(value, str) else f"{value!r}" if value is not None else ""


if __name__ == "__main__":
    main()
