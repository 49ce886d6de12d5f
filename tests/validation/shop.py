"""A repository whose schema SQLAlchemy and Alembic keep, and databases for it."""

import os
import subprocess
import sys
from pathlib import Path

from sqlalchemy import create_engine, text
from sqlalchemy.pool import NullPool

MODELS = """
from sqlalchemy import ForeignKey, Index, String
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

print("models are loaded")  # who reads our answer must not stumble over it

class Base(DeclarativeBase):
    pass

class User(Base):
    __tablename__ = "users"
    id: Mapped[int] = mapped_column(primary_key=True)
    email: Mapped[str] = mapped_column(String(200), unique=True)
    name: Mapped[str | None] = mapped_column(String(100))

class Order(Base):
    __tablename__ = "orders"
    id: Mapped[int] = mapped_column(primary_key=True)
    owner: Mapped[int] = mapped_column(ForeignKey("users.id"))
    total: Mapped[int]
    __table_args__ = (Index("orders_by_owner", "owner"),)
"""
INI = """
[alembic]
script_location = %(here)s/migrations
[loggers]
keys = root
[handlers]
keys =
[formatters]
keys =
[logger_root]
level = WARN
handlers =
"""
ENV = """
from logging.config import fileConfig
from alembic import context
from sqlalchemy import engine_from_config, pool
from store.models import Base

config = context.config
fileConfig(config.config_file_name)
engine = engine_from_config(config.get_section("alembic"), poolclass=pool.NullPool)
with engine.connect() as connection:
    context.configure(connection=connection, target_metadata=Base.metadata)
    with context.begin_transaction():
        context.run_migrations()
"""
FIRST = '''"""make users"""
import sqlalchemy as sa
from alembic import op
revision, down_revision = "aaa1", None

def upgrade():
    op.create_table("users", sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("email", sa.String(200), nullable=False, unique=True))
'''
SECOND = '''"""add names and orders"""
import sqlalchemy as sa
from alembic import op
revision, down_revision = "bbb2", "aaa1"

def upgrade():
    op.add_column("users", sa.Column("name", sa.String(100)))
    op.create_table("orders", sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("owner", sa.Integer, sa.ForeignKey("users.id"), nullable=False),
        sa.Column("total", sa.Integer, nullable=False))
    op.create_index("orders_by_owner", "orders", ["owner"])
'''
OTHER = FIRST.replace("make users", "make others").replace('"aaa1", None', '"ccc3", "aaa1"')


class Shop:
    """The repository, and one database of its own."""

    def __init__(self, folder: Path, url: str) -> None:
        self.folder = folder
        self.url = url
        for path, content in {
            "store/__init__.py": "",
            "store/models.py": MODELS,
            "alembic.ini": INI,
            "migrations/env.py": ENV,
            "migrations/script.py.mako": "",
            "migrations/versions/first.py": FIRST,
            "migrations/versions/second.py": SECOND,
        }.items():
            self.write(path, content)

    def write(self, path: str, content: str) -> None:
        """Put a file into the repository."""
        file = self.folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(content)

    def upgrade(self, revision: str = "head") -> None:
        """Apply the migrations as their owner would."""
        script = (
            "import os, sys; sys.path.insert(0, '.')\n"
            "from alembic import command; from alembic.config import Config\n"
            "config = Config('alembic.ini')\n"
            "config.set_main_option('sqlalchemy.url', os.environ['URL'].replace('%', '%%'))\n"
            f"command.upgrade(config, {revision!r})"
        )
        env = {**os.environ, "URL": self.url}
        done = subprocess.run(
            [sys.executable, "-c", script],
            cwd=self.folder,
            env=env,
            capture_output=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr.decode()

    def sql(self, *statements: str) -> None:
        """Change the database behind everybody's back."""
        engine = create_engine(self.url, poolclass=NullPool)
        with engine.begin() as connection:
            for statement in statements:
                connection.execute(text(statement))
        engine.dispose()
