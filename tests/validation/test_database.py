"""Drift of schemas, on a real PostgreSQL and on SQLite."""

import os
import sys
from pathlib import Path

import pytest

from oneiric.ports.executor import Executor
from tests.servers import PostgresServer, free_port
from tests.validation.databases import MODELS, drift, reasons, told
from tests.validation.programs import Program
from tests.validation.shop import ENV, OTHER, Shop


async def test_a_database_as_it_should_be_has_no_drift(shop: Shop, executor: Executor) -> None:
    """By its migrations, found by themselves, and by the models; both were really compared."""
    shop.upgrade()
    report = await drift(executor, shop.folder, url=shop.url)
    assert (told(report), report.unchecked, str(report.outcome)) == (set(), (), "pass")
    assert report.checked == {"database": 4}
    report = await drift(executor, shop.folder, url=shop.url, models=MODELS)
    assert (told(report), report.unchecked, report.checked) == (set(), (), {"database": 2})


async def test_a_migration_that_is_missing_is_drift(shop: Shop, executor: Executor) -> None:
    """With all that it would have changed; applied, there is none."""
    shop.upgrade("aaa1")
    report = await drift(executor, shop.folder, url=shop.url)
    assert {
        ("database-migration-pending", "breaking", "bbb2"),
        ("database-table-missing", "breaking", "orders"),
        ("database-column-missing", "breaking", "users.name"),
    } <= told(report)
    pending = next(item for item in report.items if item.code == "database-migration-pending")
    assert pending.message == "the migration was not applied: add names and orders"
    file = shop.folder / "migrations/versions/second.py"
    file.write_text(file.read_text().replace('"""add names and orders"""', ""))
    report = await drift(executor, shop.folder, url=shop.url)
    assert "the migration was not applied" in {item.message for item in report.items}
    shop.upgrade()
    assert told(await drift(executor, shop.folder, url=shop.url)) == set()


async def test_a_column_that_was_dropped_is_drift(shop: Shop, executor: Executor) -> None:
    """Although every migration was applied; repaired, there is none."""
    shop.upgrade()
    shop.sql("alter table orders drop column total")
    for asked in ({}, {"models": MODELS}):
        report = await drift(executor, shop.folder, url=shop.url, **asked)
        assert told(report) == {("database-column-missing", "breaking", "orders.total")}
        assert report.items[0].facts == {"type": "Integer()"}
    shop.sql("alter table orders add column total integer not null default 0")
    assert told(await drift(executor, shop.folder, url=shop.url)) == set()


@pytest.mark.server("postgres")
async def test_a_type_that_was_changed_is_drift(
    postgres: PostgresServer, tmp_path: Path, executor: Executor
) -> None:
    """So is whether it may be null, an index, a key, and what no model knows."""
    shop = Shop(tmp_path / "repo", postgres.make(tmp_path.name))
    shop.upgrade()
    shop.sql(
        "alter table orders alter column total type text",
        "alter table users alter column name set not null",
        "alter table orders alter column owner drop not null",
        "drop index orders_by_owner",
        "alter table users drop constraint users_email_key",
        "alter table orders drop constraint orders_owner_fkey",
        "alter table users add column age integer",
        "alter table users add column token integer not null",
        "create table strangers (id integer primary key)",
        "create index users_by_name on users (name)",
    )
    report = await drift(executor, shop.folder, url=shop.url)
    assert told(report) == {
        ("database-type-changed", "breaking", "orders.total"),
        ("database-nullable-changed", "breaking", "users.name"),
        ("database-nullable-changed", "warning", "orders.owner"),
        ("database-index-missing", "warning", "orders.orders_by_owner"),
        ("database-constraint-missing", "breaking", "users.(email)"),
        ("database-constraint-missing", "warning", "orders.(owner)"),
        ("database-column-unknown", "warning", "users.age"),
        ("database-column-unknown", "breaking", "users.token"),
        ("database-table-unknown", "info", "strangers"),
        ("database-index-unknown", "info", "users.users_by_name"),
    }
    changed = next(item for item in report.items if item.code == "database-type-changed")
    assert changed.facts == {"found": "TEXT()", "meant": "Integer()"}
    shop.sql("drop schema public cascade", "create schema public")
    shop.upgrade()
    assert told(await drift(executor, shop.folder, url=shop.url)) == set()


async def test_a_type_that_was_changed_is_drift_on_sqlite(plain: Shop, executor: Executor) -> None:
    """As far as it knows types."""
    plain.upgrade()
    plain.sql("alter table users drop column name", "alter table users add column name blob")
    report = await drift(executor, plain.folder, url=plain.url)
    assert told(report) == {("database-type-changed", "breaking", "users.name")}


async def test_several_heads_and_unknown_revisions_are_drift(
    shop: Shop, executor: Executor
) -> None:
    """The first can be told without a database."""
    shop.upgrade()
    shop.write("migrations/versions/other.py", OTHER)
    report = await drift(executor, shop.folder, alembic="alembic.ini")
    assert told(report) == {("database-heads-several", "breaking", "alembic.ini")}
    assert "no address" in reasons(report)
    (shop.folder / "migrations/versions/other.py").unlink()
    shop.sql("update alembic_version set version_num = 'fff9'")
    report = await drift(executor, shop.folder, url=shop.url)
    assert told(report) == {("database-revision-unknown", "breaking", "fff9")}


async def test_defect_validation_a13_an_address_that_is_missing_is_no_pass(
    plain: Shop, executor: Executor
) -> None:
    """Whether somebody named the tool or not."""
    for asked in ({}, {"models": MODELS}):
        report = await drift(executor, plain.folder, **asked)
        assert (told(report), str(report.outcome)) == (set(), "inconclusive")
        assert "no address of the database" in reasons(report)


async def test_defect_validation_a13_a_repository_without_a_tool_is_told(
    tmp_path: Path, executor: Executor
) -> None:
    """It does not apply; named by its address alone, it is not checked."""
    report = await drift(executor, tmp_path)
    assert (list(report.absent), report.unchecked, report.checked) == (["database"], (), {})
    report = await drift(executor, tmp_path, url="sqlite:///x.db")
    assert (report.absent, str(report.outcome)) == ({}, "inconclusive")
    report = await drift(executor, tmp_path, alembic="absent.ini", prisma="../up.prisma")
    assert [each.place for each in report.unchecked] == ["absent.ini", "../up.prisma"]


@pytest.mark.server("postgres")
async def test_defect_validation_a13_a_database_that_cannot_be_asked_is_no_pass(
    postgres: PostgresServer, tmp_path: Path, executor: Executor
) -> None:
    """It is not checked, and its password shows nowhere."""
    shop = Shop(tmp_path / "repo", postgres.url("absent"))
    right = postgres.url()
    urls = {
        "absent": shop.url,
        "wrong": right.replace("correct", "incorrect"),
        "silent": right.replace(f":{postgres.port}", f":{free_port()}"),
        "no driver": right.replace("psycopg", "pg8000"),
        "no database": "nonsense",
    }
    for url in urls.values():
        for asked in ({}, {"models": MODELS}):
            report = await drift(executor, shop.folder, url=url, **asked)
            assert (told(report), str(report.outcome)) == (set(), "inconclusive")
            for secret in ("correct horse", "correct%20horse", "battery"):
                assert secret not in str(report.as_json())


async def test_what_the_repository_brings_runs_in_a_process_of_its_own(
    plain: Shop, executor: Executor
) -> None:
    """However it ends, it is told and ends nobody else."""
    plain.upgrade()
    endings = {
        "raise RuntimeError('no')": "env.py of the migrations failed: RuntimeError: no",
        "import os; os._exit(3)": "ended with exit code 3",
        "import sys; sys.exit(0)": "gave no answer",
        "import time; time.sleep(600)": "took too long",
        "import absent_module": "env.py of the migrations failed: ModuleNotFoundError",
        "": "env.py ran no migrations",
    }
    for code, why in endings.items():
        plain.write("migrations/env.py", code)
        limit = 2.0 if "sleep" in code else 60.0
        report = await drift(executor, plain.folder, url=plain.url, timeout=limit)
        assert (told(report), str(report.outcome)) == (set(), "inconclusive")
        assert why in reasons(report)
    for models in ("absent.models:Base", "store.models:Absent", "store.models:String"):
        report = await drift(executor, plain.folder, url=plain.url, models=models)
        assert "the models cannot be imported" in reasons(report)


async def test_an_env_that_goes_to_another_database_proves_nothing(
    plain: Shop, executor: Executor, tmp_path: Path
) -> None:
    """Nor one that names no models, which is told with what to do about it."""
    plain.upgrade()
    own = f"create_engine('sqlite:///{tmp_path}/other.db')"
    (tmp_path / "other.db").touch()
    other = ENV.replace(
        'engine_from_config(config.get_section("alembic"), poolclass=pool.NullPool)', own
    )
    plain.write(
        "migrations/env.py",
        other.replace("import engine_from", "import create_engine, engine_from"),
    )
    report = await drift(executor, plain.folder, url=plain.url)
    assert "env.py connects to another database" in reasons(report)
    plain.write("migrations/env.py", ENV.replace("target_metadata=Base.metadata", ""))
    report = await drift(executor, plain.folder, url=plain.url)
    assert "target_metadata" in reasons(report)
    report = await drift(
        executor, plain.folder, url=plain.url, models=MODELS, alembic="alembic.ini"
    )
    assert (told(report), report.unchecked) == (set(), ())


@pytest.mark.parametrize("models", ["", MODELS])
async def test_models_that_know_no_table_are_no_pass(
    models: str, plain: Shop, executor: Executor
) -> None:
    """Who forgets to import the models compares with nothing, and is told so."""
    plain.write(
        "store/models.py", "import sqlalchemy.orm\nBase = sqlalchemy.orm.declarative_base()"
    )
    plain.upgrade()
    report = await drift(executor, plain.folder, url=plain.url, models=models)
    assert [each.place for each in report.unchecked] == [models or "target_metadata of env.py"]
    assert str(report.outcome) == "inconclusive"


async def test_nothing_is_written_to_the_database(plain: Shop, executor: Executor) -> None:
    """Not even the table in which Alembic keeps what it applied."""
    plain.sql("create table users (id integer primary key)")
    await drift(executor, plain.folder, url=plain.url)
    with pytest.raises(Exception, match="alembic_version"):
        plain.sql("select * from alembic_version")


async def test_without_the_extra_nothing_is_compared(
    plain: Shop, executor: Executor, tmp_path: Path
) -> None:
    """It is not checked, and says what to install."""
    python = tmp_path / "bin" / "python-alone"
    python.write_text(f'#!/bin/sh\nexec {sys.executable} -I -S "$@"\n')
    python.chmod(0o755)
    report = await drift(executor, plain.folder, url=plain.url, python=str(python))
    assert "install oneiric[database]" in reasons(report)
    report = await drift(executor, plain.folder, url=plain.url, python="no-such-python")
    assert "no program no-such-python" in reasons(report)


SCHEMA = 'datasource db {\n  provider = "postgresql"\n  url = env("SHOP_DB")\n}\n'
PRISMA_URL = "postgresql://me:hunter2hunter2@db.example/shop"


@pytest.fixture
def npx(tmp_path: Path) -> Program:
    """A program named npx, and a repository with a schema of Prisma and migrations."""
    migrations = tmp_path / "app" / "prisma" / "migrations"
    migrations.mkdir(parents=True)
    (migrations.parent / "schema.prisma").write_text(SCHEMA)
    return Program(tmp_path / "bin", "npx")


EQUAL = {"stdout": "No difference detected."}
DIFFERENT = {"stdout": f"[+] Added column `x` at {PRISMA_URL}", "exit": 2}


async def test_defect_validation_f7_prisma_is_judged_by_exit_codes(
    npx: Program, executor: Executor, tmp_path: Path
) -> None:
    """A phrase such as `pending migrations` means nothing, and no code means nothing less."""
    calm = {"stdout": "No pending migrations to apply. drift detected? timed out!"}
    npx.answers(EQUAL, calm)
    report = await drift(executor, tmp_path / "app", url=PRISMA_URL)
    assert (told(report), report.unchecked, report.checked) == (set(), (), {"database": 2})
    npx.answers(EQUAL, {"exit": 1})
    report = await drift(executor, tmp_path / "app", url=PRISMA_URL)
    assert told(report) == {("database-migration-pending", "breaking", "prisma/schema.prisma")}
    npx.answers(DIFFERENT, calm)
    report = await drift(executor, tmp_path / "app", url=PRISMA_URL)
    assert told(report) == {("database-schema-differs", "breaking", "prisma/schema.prisma")}
    assert "Added column" in str(report.items[0].facts)
    assert "hunter2" not in str(report.as_json())


async def test_prisma_gets_the_address_by_a_variable(
    npx: Program, executor: Executor, tmp_path: Path
) -> None:
    """The one that the schema names; arguments are for everybody to see. 7 takes other ones."""
    npx.answers(EQUAL)
    await drift(executor, tmp_path / "app", url=PRISMA_URL)
    path = "prisma/schema.prisma"
    old = ["--from-schema-datasource", path, "--to-schema-datamodel", path]
    diff, status = npx.heard()
    assert diff["args"] == ["prisma", "migrate", "diff", *old, "--exit-code"]
    assert status["args"] == ["prisma", "migrate", "status", f"--schema={path}"]
    assert (diff["env"]["SHOP_DB"], diff["cwd"]) == (PRISMA_URL, str(tmp_path / "app"))
    (tmp_path / "app" / "package.json").write_text('{"devDependencies": {"prisma": "^7.1.0"}}')
    npx.answers(EQUAL)
    await drift(executor, tmp_path / "app", url=PRISMA_URL)
    new = ["--from-config-datasource", "--to-schema", path]
    assert npx.heard()[0]["args"] == ["prisma", "migrate", "diff", *new, "--exit-code"]


async def test_defect_validation_a13_prisma_that_fails_silently_is_no_pass(
    npx: Program, executor: Executor, tmp_path: Path
) -> None:
    """Whatever it says or does not say, and however it ends."""
    for answer in ({"exit": 1}, {"exit": 127}, {"exit": 1, "stderr": "timed out"}):
        npx.answers(answer)
        report = await drift(executor, tmp_path / "app", url=PRISMA_URL)
        assert (told(report), str(report.outcome)) == (set(), "inconclusive")
    npx.answers({"seconds": 600})
    report = await drift(executor, tmp_path / "app", url=PRISMA_URL, timeout=1.0)
    assert "took too long" in reasons(report)
    npx.answers(EQUAL)
    report = await drift(executor, tmp_path / "app")
    assert (str(report.outcome), npx.heard()) == ("inconclusive", [])


async def test_defect_validation_f8_without_prisma_there_is_no_drift(
    npx: Program, executor: Executor, tmp_path: Path
) -> None:
    """It is not checked: who is not there found no difference."""
    (tmp_path / "bin" / "npx").unlink()
    report = await drift(executor, tmp_path / "app", url=PRISMA_URL)
    assert (told(report), str(report.outcome)) == (set(), "inconclusive")
    assert "npx" in reasons(report)


async def test_defect_validation_f8_schemas_of_tests_are_passed_over(
    npx: Program, executor: Executor, tmp_path: Path
) -> None:
    """Unless one is named; of several, one has to be."""
    app = tmp_path / "app"
    (app / "prisma" / "schema.prisma").rename(app / "kept.prisma")
    for folder in ("tests/fixtures/prisma", "packages/fixtures/prisma", "node_modules/x/prisma"):
        (app / folder).mkdir(parents=True)
        (app / folder / "schema.prisma").write_text(SCHEMA)
    report = await drift(executor, app)
    assert (list(report.absent), report.unchecked) == (["database"], ())
    npx.answers(EQUAL)
    named = "tests/fixtures/prisma/schema.prisma"
    report = await drift(executor, app, url=PRISMA_URL, prisma=named)
    assert (report.unchecked, report.checked) == ((), {"database": 1})
    for name in ("a", "b"):
        (app / "packages" / name / "prisma").mkdir(parents=True)
        (app / "packages" / name / "prisma" / "schema.prisma").write_text(SCHEMA)
    report = await drift(executor, app, url=PRISMA_URL)
    assert "there are several" in reasons(report)


async def test_a_schema_that_names_its_database_itself_is_not_compared(
    npx: Program, executor: Executor, tmp_path: Path
) -> None:
    """For that may be another one than the one that was asked for."""
    schema = tmp_path / "app" / "prisma" / "schema.prisma"
    schema.write_text(SCHEMA.replace('env("SHOP_DB")', '"postgresql://elsewhere/x"'))
    before = dict(os.environ)
    report = await drift(executor, tmp_path / "app", url=PRISMA_URL)
    assert ("names its database itself" in reasons(report), npx.heard()) == (True, [])
    assert dict(os.environ) == before
