"""Databases for tests, and who runs programs."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from oneiric.ports.executor import Executor
from tests.servers import PostgresServer
from tests.validation.programs import executing
from tests.validation.shop import Shop


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """A PostgreSQL for the session; each test has a database of its own."""
    server = PostgresServer()
    server.start()
    yield server
    server.stop()


@pytest.fixture(params=[pytest.param("postgres", marks=pytest.mark.server("postgres")), "sqlite"])
def shop(request: pytest.FixtureRequest, tmp_path: Path) -> Shop:
    """A repository with migrations, and an empty database."""
    if request.param == "sqlite":
        return Shop(tmp_path / "repo", f"sqlite:///{tmp_path}/shop.db")
    server: PostgresServer = request.getfixturevalue("postgres")
    return Shop(tmp_path / "repo", server.make(tmp_path.name))


@pytest.fixture
def plain(tmp_path: Path) -> Shop:
    """The same on SQLite alone."""
    return Shop(tmp_path / "repo", f"sqlite:///{tmp_path}/shop.db")


@pytest.fixture
async def executor(tmp_path: Path) -> AsyncIterator[Executor]:
    """An executor whose PATH has the test's own programs alone."""
    (tmp_path / "bin").mkdir(exist_ok=True)
    async with executing(tmp_path, path=str(tmp_path / "bin")) as link, link.use() as held:
        yield held
