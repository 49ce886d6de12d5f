"""What is asked about a database."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field, SecretStr


class DatabaseQuestion(BaseModel):
    """Which database is compared, and with what; what is left out is looked for.

    >>> DatabaseQuestion(url="postgresql://app:secret@db/shop").url
    SecretStr('**********')
    """

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    url: SecretStr | None = None
    """Its address, as SQLAlchemy or Prisma spells it."""
    models: str = Field(default="", max_length=500, pattern=r"\A([\w.]+(:[\w.]+)?)?\z")
    """`package.module:metadata`: what SQLAlchemy was told of the tables; a class of models, too."""
    alembic: str = Field(default="", max_length=1_000)
    """The configuration of Alembic, below the repository."""
    prisma: str = Field(default="", max_length=1_000)
    """The schema of Prisma, below the repository; `auto` has one looked for and demands it."""
    python: str = Field(default="", max_length=1_000)
    """The interpreter that has the libraries of the models; our own when empty."""
    timeout: float = Field(default=60.0, gt=0, le=600)
    """Seconds that each comparison may take."""

    @property
    def names_a_tool(self) -> bool:
        """Whether somebody said what it is compared with, or which it is."""
        return bool(self.url or self.models or self.alembic or self.prisma)
