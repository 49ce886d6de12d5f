"""What a database lets be seen of it, and what is never done to it."""

import re
from pathlib import Path

import pytest
from sqlalchemy import create_engine, inspect
from sqlalchemy.engine import make_url
from sqlalchemy.pool import NullPool

from oneiric.ports.executor import Executor
from tests.servers import PostgresServer
from tests.validation.databases import MODELS, drift, reasons, told
from tests.validation.shop import ENV, FIRST, Shop
from tests.validation.shop import MODELS as SOURCE

pytestmark = pytest.mark.server("postgres")

TENANTS = """
from alembic import context
from sqlalchemy import engine_from_config, pool, text
from store.models import Base

engine = engine_from_config(context.config.get_section("alembic"), poolclass=pool.NullPool)
for tenant in ("one", "two"):
    with engine.connect() as connection:
        connection.execute(text(f"set search_path to {tenant}"))
        connection.commit()
        connection.dialect.default_schema_name = tenant
        context.configure(connection=connection, target_metadata=Base.metadata)
        with context.begin_transaction():
            context.run_migrations()
"""
WRITING = """
with engine.connect() as connection:
    connection.exec_driver_sql("create table made_by_env (id integer)")
    connection.commit()
with engine.connect() as connection:"""


@pytest.fixture
def store(postgres: PostgresServer, tmp_path: Path) -> Shop:
    """A repository with migrations, and an empty database of PostgreSQL."""
    return Shop(tmp_path / "repo", postgres.make(tmp_path.name))


async def test_an_environment_that_runs_several_times_is_seen_each_time(
    store: Shop, executor: Executor
) -> None:
    """A tenant that is behind is drift, although the last one is as it should be."""
    store.write("migrations/env.py", TENANTS)
    store.sql("create schema one", "create schema two")
    store.upgrade()
    assert told(await drift(executor, store.folder, url=store.url)) == set()
    store.sql(
        "alter table one.orders drop column total",
        "update one.alembic_version set version_num = 'aaa1'",
    )
    assert told(await drift(executor, store.folder, url=store.url)) == {
        ("database-migration-pending", "breaking", "bbb2"),
        ("database-column-missing", "breaking", "orders.total"),
    }


@pytest.mark.parametrize("models", ["", MODELS])
async def test_a_user_who_may_see_no_schema_proves_no_drift(
    models: str, store: Shop, executor: Executor
) -> None:
    """Everything would seem to be missing; that is no difference, and no pass."""
    store.upgrade()
    role = f"weak{abs(hash(store.url))}"
    store.sql(
        f"create role {role} login password 'weak-password'",
        "revoke all on schema public from public",
    )
    weak = make_url(store.url).set(username=role, password="weak-password")
    url = weak.render_as_string(hide_password=False)
    report = await drift(executor, store.folder, url=url, models=models)
    assert (told(report), str(report.outcome)) == (set(), "inconclusive")
    assert "the user may use no schema of the search path" in reasons(report)


async def test_models_may_name_the_schema_that_others_leave_out(
    store: Shop, executor: Executor
) -> None:
    """`public` is where PostgreSQL puts what names none; other schemas stay apart."""
    base = "class Base(DeclarativeBase):\n    metadata = MetaData(schema='public')"
    models = SOURCE.replace("class Base(DeclarativeBase):\n    pass", base)
    models = models.replace("import ForeignKey", "import MetaData, ForeignKey")
    store.write("store/models.py", models.replace('"users.id"', '"public.users.id"'))
    store.upgrade()
    store.sql("create schema other", "create table other.strangers (id integer)")
    report = await drift(executor, store.folder, url=store.url, models=MODELS)
    assert (told(report), report.unchecked, report.checked) == (set(), (), {"database": 2})
    store.sql("alter table orders drop column total")
    report = await drift(executor, store.folder, url=store.url, models=MODELS)
    assert told(report) == {("database-column-missing", "breaking", "orders.total")}


async def test_branches_that_have_labels_may_end_apart(shop: Shop, executor: Executor) -> None:
    """All of them have to be applied; only those that no label tells apart are drift."""
    label = 'branch_labels = ("billing",)\n'
    shop.write("migrations/versions/billing.py", BILLING + label)
    shop.upgrade("heads")
    assert told(await drift(executor, shop.folder, url=shop.url)) == set()
    shop.sql("delete from alembic_version where version_num = 'ccc3'")
    pending = {("database-migration-pending", "breaking", "ccc3")}
    assert told(await drift(executor, shop.folder, url=shop.url)) == pending
    shop.write("migrations/versions/billing.py", BILLING)
    several = ("database-heads-several", "breaking", "alembic.ini")
    assert told(await drift(executor, shop.folder, url=shop.url)) == {several, *pending}


BILLING = FIRST.replace("make users", "make bills").replace('"aaa1", None', '"ccc3", None')
BILLING = BILLING[: BILLING.index("def upgrade")] + "def upgrade():\n    pass\n"


async def test_nothing_that_the_repository_does_writes_to_the_database(
    shop: Shop, executor: Executor
) -> None:
    """An `env.py` that tries to has not been compared, and says what it tried."""
    shop.upgrade()
    shop.write("migrations/env.py", ENV.replace("with engine.connect() as connection:", WRITING))
    report = await drift(executor, shop.folder, url=shop.url)
    assert (told(report), str(report.outcome)) == (set(), "inconclusive")
    assert re.search("env.py of the migrations failed.*read-?only", reasons(report))
    engine = create_engine(shop.url, poolclass=NullPool)
    assert not inspect(engine).has_table("made_by_env")


@pytest.mark.parametrize("models", ["", MODELS])
async def test_a_file_that_is_not_there_is_not_made(
    models: str, plain: Shop, executor: Executor, tmp_path: Path
) -> None:
    """It is a database that does not answer, not one that lacks everything."""
    report = await drift(executor, plain.folder, url=plain.url, models=models)
    assert (told(report), str(report.outcome)) == (set(), "inconclusive")
    assert "the database does not answer" in reasons(report)
    assert not (tmp_path / "shop.db").exists()


async def test_a_password_behind_the_question_mark_shows_nowhere(
    plain: Shop, executor: Executor
) -> None:
    """Whoever repeats it: the address may say it there too."""
    plain.write("migrations/env.py", "raise RuntimeError('no entry with hunter2 hunter2/')")
    url = "postgresql://me@127.0.0.1:1/shop?password=hunter2&sslpassword=hunter2%2F"
    report = await drift(executor, plain.folder, url=url)
    assert "no entry with **********" in reasons(report)
    assert "hunter2" not in str(report.as_json())


async def test_defaults_are_compared_by_what_they_mean(store: Shop, executor: Executor) -> None:
    """Another spelling is none; another value is told as it is written."""
    more = "total: Mapped[int] = mapped_column(server_default='0')"
    more += '\n    note: Mapped[str | None] = mapped_column(server_default="it\'s")'
    more += "\n    at: Mapped[str | None] = mapped_column(String(9), server_default='x')"
    store.write("store/models.py", SOURCE.replace("total: Mapped[int]", more))
    store.upgrade()
    store.sql(
        "alter table orders alter column total set default (0)",
        "alter table orders add column note varchar default 'it''s'",
        "alter table orders add column at character varying(9) default 'x'::text",
    )
    report = await drift(executor, store.folder, url=store.url, models=MODELS)
    assert (told(report), report.unchecked) == (set(), ())
    store.sql("alter table orders alter column at set default 'y'")
    store.sql("alter table orders alter column total drop default")
    report = await drift(executor, store.folder, url=store.url, models=MODELS)
    assert {item.place: item.facts for item in report.items} == {
        "orders.at": {"found": "'y'::character varying", "meant": "x"},
        "orders.total": {"meant": "0"},
    }


async def test_a_history_of_thousands_is_told_in_short(plain: Shop, executor: Executor) -> None:
    """However long the migrations explain themselves; the first that are pending are told."""
    plain.sql("create table users (id integer primary key)")
    for number in range(600):
        before = f"r{number - 1}" if number else "bbb2"
        text = f'"""{"why " * 1_000}"""\nrevision, down_revision = "r{number}", "{before}"\n'
        plain.write(f"migrations/versions/r{number}.py", text)
    report = await drift(executor, plain.folder, url=plain.url)
    pending = [each for each in report.items if each.code == "database-migration-pending"]
    assert (len(pending), report.unchecked) == (50, ())
    assert max(len(each.message) for each in pending) < 300
