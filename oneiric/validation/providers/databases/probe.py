"""Compare a database with what SQLAlchemy or Alembic know of it: a program of its own.

It runs what the repository brings, its models and its `env.py`, so it is never imported: it is
run by its path, also by interpreters that know nothing of us. It reads what to do from its stdin,
and writes one JSON document to its stdout; whatever else is written there goes to stderr.
"""

from __future__ import annotations

import importlib
import json
import os
import re
import sys
from collections.abc import Iterable, Iterator
from functools import partial
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
MOST_PENDING = 50
LONGEST = 200


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
    only_read(answer)
    sys.path.insert(0, os.getcwd())  # noqa: PTH109
    if asked["alembic"]:
        history(asked, answer)
    if asked["models"]:
        models(asked, answer)
    answer.give()


def only_read(answer: Answer) -> None:
    """Let no connection write that is made, nor make a file where there is no database."""
    from sqlalchemy import event
    from sqlalchemy.engine import Engine

    @event.listens_for(Engine, "do_connect")
    def connect(dialect: Any, _: object, args: Any, options: Any) -> Any:
        is_file = dialect.name == "sqlite"
        if is_file and not str(args[0]).startswith((":", "file:")) and not os.path.exists(args[0]):  # noqa: PTH110
            answer.stage = "connect"
            raise FileNotFoundError(f"there is no file {args[0]}")
        line = dialect.connect(*args, **options)
        answer.facts["connected"] = True
        if is_file:
            line.cursor().execute("pragma query_only = on")
        elif hasattr(dialect, "set_readonly"):
            dialect.set_readonly(line, True)  # noqa: FBT003
        return line


def history(asked: dict[str, Any], answer: Answer) -> None:
    """Tell what migrations there are, which the database had, and what it has otherwise."""
    from alembic.config import Config
    from alembic.script import ScriptDirectory

    answer.stage = "script"
    config = Config(asked["alembic"])
    script = ScriptDirectory.from_config(config)
    revisions = [each.revision for each in script.walk_revisions()][::-1]
    answer.facts |= {"heads": _unlabelled(script), "revisions": revisions}
    if asked["url"]:
        url = asked["url"] if "+" in asked["url"].partition("://")[0] else _usable(asked["url"])
        config.set_main_option("sqlalchemy.url", url.replace("%", "%%"))
        _run(config, script, asked, answer)


def _unlabelled(script: ScriptDirectory) -> list[str]:
    """Return the heads that no label tells apart from the others; one alone needs none."""
    labels = {head: set(script.get_revision(head).branch_labels) for head in script.get_heads()}
    return sorted(
        head
        for head, own in labels.items()
        if not own.difference(*(others for other, others in labels.items() if other != head))
    )


def _run(config: Config, script: ScriptDirectory, asked: dict[str, Any], answer: Answer) -> None:
    """Run the repository's `env.py` up to the connection that it makes; nothing is migrated."""
    from alembic.runtime.environment import EnvironmentContext

    def look(_: object, context: MigrationContext) -> Iterable[Any]:
        """Look at one database, or at one tenant of several: `env.py` may run as often."""
        answer.stage = "compare"
        if _is_other(context, asked["url"]):
            answer.facts["other"] = True
            return ()
        metadata = context.opts.get("target_metadata")
        meant = () if metadata is None else _each(metadata)
        _check_sight(context.dialect, {context.version_table_schema, *_schemas(*meant)})
        _tell_current(context, script, answer)
        if metadata is None:
            answer.facts["bare"] = True
        elif not asked["models"]:
            _tell(context, metadata, answer)
        return ()

    answer.stage = "environment"
    with EnvironmentContext(config, script, fn=look, dont_mutate=True):
        script.run_env()


def _tell_current(context: MigrationContext, script: ScriptDirectory, answer: Answer) -> None:
    """Tell what was applied, and which migrations that lacks, beside what was told before."""
    facts, current = answer.facts, context.get_current_heads()
    facts["current"] = sorted({*current, *facts.get("current", ())})
    if not set(facts["revisions"]).issuperset(current):
        return
    applied = {each.revision for each in script.iterate_revisions(current, "base")}
    before = facts.setdefault("pending", [])
    lacking = {*facts["revisions"]} - applied - {revision for revision, _ in before}
    for revision in facts["revisions"]:
        if revision in lacking and len(before) < MOST_PENDING:
            before.append((revision, (script.get_revision(revision).doc or "")[:LONGEST]))


def _check_sight(dialect: Any, schemas: set[str | None]) -> None:
    """Pass unless PostgreSQL hides the schema of all that names none: that only seems missing."""
    if dialect.name == "postgresql" and dialect.default_schema_name is None and None in schemas:
        raise PermissionError("the user may use no schema of the search path")


def _schemas(*several: MetaData) -> set[str | None]:
    return {table.schema for each in several for table in each.tables.values()}


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
    engine = create_engine(_usable(asked["url"]), poolclass=NullPool)
    with engine.connect() as connection:
        answer.stage = "compare"
        metadata = _local(metadata, engine.dialect.default_schema_name)
        schemas = _schemas(metadata)
        _check_sight(engine.dialect, schemas)

        def is_ours(name: str | None, kind: str, _: object) -> bool:
            return kind != "schema" or name in schemas

        options = {
            "compare_type": True,
            "compare_server_default": True,
            "target_metadata": metadata,
            "include_schemas": schemas != {None},
            "include_name": is_ours,
        }
        _tell(MigrationContext.configure(connection, opts=options), metadata, answer)
    engine.dispose()


def _local(metadata: MetaData, default: str | None) -> MetaData:
    """Return *metadata* with no name for the schema that is meant where none is named."""
    from sqlalchemy import MetaData
    from sqlalchemy.schema import BLANK_SCHEMA

    if default is None or default not in _schemas(metadata):
        return metadata

    def referred(_table: Any, _to: Any, _constraint: Any, schema: str | None) -> Any:
        return BLANK_SCHEMA if schema in (None, default) else schema

    copy = MetaData(naming_convention=metadata.naming_convention)
    for each in metadata.tables.values():
        schema: Any = None if each.schema == default else each.schema
        each.to_metadata(copy, schema=schema, referred_schema_fn=referred)
    return copy


def _has_other_default(
    context: MigrationContext, ask: Any, inspected: Any, column: Any, meant: Any, found: Any
) -> bool:
    """Tell whether two defaults differ in more than their spelling; the database knows best."""
    from sqlalchemy.exc import SQLAlchemyError

    if context.connection is None or _bare(found) == _bare(meant):
        return False
    try:
        with context.connection.begin_nested():
            return bool(ask(inspected, column, meant, found))
    except SQLAlchemyError:
        return True


def _bare(default: str | None) -> str | None:
    """Return a default without quotes and without its type."""
    if default is None:
        return None
    quoted = re.fullmatch(r"'(.*)'(::[\w\s\".\[\]]+)?", default, re.DOTALL)
    return quoted[1].replace("''", "'") if quoted else default


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

    impl: Any = context.impl
    ask = impl.compare_server_default
    impl.compare_server_default = partial(_has_other_default, context, ask)
    facts = answer.facts
    found = [one for each in compare_metadata(context, metadata) for one in _changes(each)]
    found = [*facts.get("changes", ()), *found]
    facts["tables"] = facts.get("tables", 0) + sum(len(each.tables) for each in _each(metadata))
    facts["changes"] = found[:MOST]
    facts["more"] = facts.get("more", 0) + max(0, len(found) - MOST)


def _each(metadata: Any) -> Iterable[MetaData]:
    return metadata if isinstance(metadata, list | tuple) else [metadata]


def _changes(told: Any) -> Iterator[dict[str, Any]]:
    """Yield a difference as a table, from what Alembic tells of it."""
    if isinstance(told, list):
        for each in told:
            yield from _changes(each)
        return
    what = told[0]
    if what.startswith("modify_"):
        _, schema, table, column, _, old, new = told
        place, told = _place(schema, table, column), _default if "default" in what else _text
        yield {"what": what, "place": place, "found": told(old), "meant": told(new)}
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


def _default(value: Any) -> str:
    text = getattr(value, "arg", value)
    return "" if text in (None, False) else str(getattr(text, "text", text))


if __name__ == "__main__":
    main()
