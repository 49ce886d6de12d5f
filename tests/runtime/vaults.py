"""A store of secrets that tests command, components made with secrets, and a runtime of both."""

import asyncio
from collections.abc import Iterable
from pathlib import Path
from typing import Any, ClassVar

from pydantic import BaseModel, Field, SecretStr, field_validator, model_validator

from oneiric.clock import Clock
from oneiric.config import load_config
from oneiric.core.candidate import Candidate
from oneiric.core.plugin import Plugin
from oneiric.documents.model import refused
from oneiric.ports.errors import NotFoundError, PermissionDeniedError, UnavailableError
from oneiric.runtime import RuntimeOrchestrator
from oneiric.runtime.settings import SECTIONS

CANARY = "c4n4ry-0123"
DOOR, GATE, SAFE = "adapter:door", "adapter:gate", "adapter:safe"


class Vault:
    """A store of which a test says what it holds, whether it is down, and when it answers."""

    held: ClassVar[dict[str, str]] = {}
    asked: ClassVar[list[str]] = []
    down: ClassVar[bool] = False
    open: ClassVar[asyncio.Event | None] = None
    token: ClassVar[str] = ""

    def __init__(self, settings: Any, **links: Any) -> None:
        self.settings = settings

    async def get_secret(
        self, name: str, *, version: str | None = None, allow_missing: bool = False
    ) -> str | None:
        key = f"{name}#{version}" if version else name
        if allow_missing:  # who is told what is missing asks again
            Vault.asked.append(key)
        if Vault.open is not None:
            await Vault.open.wait()
        if Vault.down:
            raise UnavailableError("vault", "connection refused")
        if Vault.token and self.settings.pin.get_secret_value() != Vault.token:
            raise PermissionDeniedError("vault", "that token is over")
        value = Vault.held.get(key)
        if value is None and not allow_missing:
            raise NotFoundError("vault", "secret", name)
        return value

    async def list_secrets(self) -> list[str]:
        if Vault.down:
            raise UnavailableError("vault", "connection refused")
        return sorted(Vault.held)

    async def invalidate_cache(self, *names: str) -> None:
        pass


class Rude(Vault):
    """A store whose errors tell what it holds."""

    async def get_secret(self, name: str, **_: Any) -> str | None:
        raise RuntimeError(f"the value of {name} is {CANARY}")


class Inner(BaseModel):
    secret: str = ""
    size: int = 1


class DoorSettings(BaseModel):
    """What a door takes: secrets of several types, checked in several ways."""

    pin: SecretStr | None = None
    word: str = "open"
    number: int = Field(0, ge=0, le=9_999)
    picky: str = ""
    loud: str = ""
    pair: str = ""
    inner: Inner = Inner()
    headers: dict[str, str] = {}
    keys: list[str] = []

    @field_validator("picky")
    @classmethod
    def _long(cls, text: str) -> str:
        if text and not text.startswith("key-"):
            raise refused(f"{text!r} does not begin with key-")
        return text

    @field_validator("loud")
    @classmethod
    def _raise(cls, text: str) -> str:
        if text:
            raise KeyError(text)
        return text

    @model_validator(mode="after")
    def _paired(self) -> "DoorSettings":
        if self.pair and self.pair != self.word:
            raise ValueError(f"{self.pair} is not {self.word}")
        return self


class Door:
    """Something made with secrets, which is gone once it was cleaned up."""

    refuses: ClassVar[set[str]] = set()

    def __init__(self, settings: DoorSettings) -> None:
        self.settings = settings
        self.ended = False

    @property
    def pin(self) -> str:
        return self.settings.pin.get_secret_value() if self.settings.pin else ""

    async def init(self) -> None:
        if self.pin in Door.refuses:
            raise OSError("the pin is not taken")

    async def unlock(self) -> str:
        """Return the pin; a door that was cleaned up cannot be unlocked."""
        assert not self.ended
        await asyncio.sleep(0)
        assert not self.ended
        return self.pin

    async def cleanup(self) -> None:
        self.ended = True


class Hinge(Door):
    """Something that holds a door by its name."""

    def __init__(self, settings: DoorSettings, door: Any) -> None:
        super().__init__(settings)
        self.door = door


OFFERS = Plugin(
    [
        Candidate("adapter:secrets", "vault", Vault, priority=1_000, settings_model=DoorSettings),
        Candidate("adapter:secrets", "rude", Rude, settings_model=DoorSettings),
        Candidate(
            "adapter:secrets",
            "hinged",
            Vault,
            settings_model=DoorSettings,
            requires={"door": DOOR},
            priority=-1,
        ),
        Candidate(DOOR, "oak", Door, settings_model=DoorSettings, priority=1),
        Candidate(DOOR, "pine", Door, settings_model=DoorSettings),
        Candidate(GATE, "iron", Door, settings_model=DoorSettings),
        Candidate(
            SAFE, "steel", Hinge, settings_model=DoorSettings, requires={"door": f"{DOOR}@pine"}
        ),
    ]
)


def forget() -> None:
    """Forget what earlier tests said."""
    Vault.held, Vault.asked, Vault.down, Vault.open, Vault.token = {}, [], False, None, ""
    Door.refuses = set()


def settings(provider: str, text: str) -> str:
    """Return the table of a provider's settings."""
    return f"[adapters.provider_settings.{provider}]\n{text}\n"


def written(folder: Path, *texts: str) -> Path:
    """Write the configuration file, and return where."""
    folder.mkdir(exist_ok=True)
    file = folder / "oneiric.toml"
    file.write_text("[plugins]\nauto_load = false\n" + "\n".join(texts))
    return file


def opened(
    folder: Path, *, clock: Clock | None = None, plugins: Iterable[Plugin] = (OFFERS,)
) -> RuntimeOrchestrator:
    config = load_config(SECTIONS, folder=folder, environ={})
    return RuntimeOrchestrator(config, plugins=plugins, clock=clock)
