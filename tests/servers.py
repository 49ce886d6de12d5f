"""Real servers for tests: each on a free loopback port, and ended by its own pid."""

import asyncio
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

PATIENCE_SECONDS = 10.0
_POSTGRES = Path("/usr/lib/postgresql")  # where Debian keeps its programs, outside of PATH


def require(program: str) -> str:
    """Return the path of *program*; without it skip the test by name, but fail in CI."""
    places = [os.environ.get("PATH", ""), *map(str, sorted(_POSTGRES.glob("*/bin"), reverse=True))]
    found = shutil.which(program, path=os.pathsep.join(places))
    if found is None:
        message = f"needs {program}, which is not installed"
        if os.environ.get("CI", "").lower() == "true":
            pytest.fail(message)
        pytest.skip(message)
    return found


def free_port() -> int:
    """Return a port that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


class RedisServer:
    """A Redis that can be stopped and started again on the same port, without persistence."""

    def __init__(self, folder: Path, *, password: str = "") -> None:
        self.port = free_port()
        self.password = password
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it, and return when it answers."""
        words = [require("redis-server"), "--port", str(self.port), "--bind", "127.0.0.1"]
        words += ["--save", "", "--appendonly", "no", "--dir", str(self._folder)]
        if self.password:
            words += ["--requirepass", self.password]
        self._process = subprocess.Popen(words, stdout=subprocess.DEVNULL)
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not self._answers():
            if time.monotonic() > deadline or self._process.poll() is not None:
                self.stop()
                pytest.fail("redis-server did not start")
            time.sleep(0.01)

    def stop(self) -> None:
        """Kill it at once, as a crash would."""
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.wait()

    def run(self, *words: str) -> bytes:
        """Send one command as somebody else would, and return the raw answer."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=2) as line:
            if self.password:
                line.sendall(_packed("AUTH", self.password))
                line.recv(1024)
            line.sendall(_packed(*words))
            return line.recv(65536)

    def _answers(self) -> bool:
        try:
            return self.run("PING").startswith(b"+PONG")
        except OSError:
            return False


def _packed(*words: str) -> bytes:
    parts = [f"*{len(words)}\r\n".encode()]
    for word in words:
        data = word.encode()
        parts.append(b"$%d\r\n%s\r\n" % (len(data), data))
    return b"".join(parts)


class PostgresServer:
    """A PostgreSQL of the tests' own, with a password, and no care for a loss of power."""

    user = "oneiric"
    password = "correct horse/battery"  # it has to be quoted in an address

    def __init__(self) -> None:
        self.port = free_port()
        self._folder = Path()
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Make its files, start it, and return when it answers."""
        program = require("postgres")
        initdb = str(Path(program).resolve().with_name("initdb"))
        self._folder = Path(tempfile.mkdtemp(prefix="oneiric-postgres-", dir="/tmp"))
        secret, data = self._folder / "password", self._folder / "data"
        secret.write_text(self.password)
        who = self._who()
        if "user" in who:  # the server refuses to be root
            shutil.chown(self._folder, who["user"])
            shutil.chown(secret, who["user"])
        words = ["-D", str(data), "-U", self.user, "--pwfile", str(secret), "--no-sync"]
        words += ["--auth=scram-sha-256", "--encoding=UTF8", "--locale=C"]
        made = subprocess.run([initdb, *words], capture_output=True, check=False, **who)
        assert made.returncode == 0, made.stderr.decode()
        words = ["-D", str(data), "-p", str(self.port), "-h", "127.0.0.1", "-k", "", "-F"]
        null = subprocess.DEVNULL
        self._process = subprocess.Popen([program, *words], stdout=null, stderr=null, **who)
        deadline = time.monotonic() + 3 * PATIENCE_SECONDS
        while not self._answers():
            if time.monotonic() > deadline or self._process.poll() is not None:
                self.stop()
                pytest.fail("postgres did not start")
            time.sleep(0.05)

    def stop(self) -> None:
        """End it, and remove its files."""
        process, self._process = self._process, None
        if process is not None:
            process.send_signal(signal.SIGQUIT)
            process.wait()
        shutil.rmtree(self._folder, ignore_errors=True)

    def url(self, database: str = "postgres", *, scheme: str = "postgresql+psycopg") -> str:
        """Return the address of a database, password included."""
        secret = quote(self.password, safe="")
        return f"{scheme}://{self.user}:{secret}@127.0.0.1:{self.port}/{database}"

    def make(self, database: str) -> str:
        """Make a database, and return its address."""
        import psycopg

        with psycopg.connect(self.url(scheme="postgresql"), autocommit=True) as line:
            line.execute(f'create database "{database}"'.encode())
        return self.url(database)

    def _answers(self) -> bool:
        import psycopg

        try:
            psycopg.connect(self.url(scheme="postgresql"), connect_timeout=2).close()
        except psycopg.OperationalError:
            return False
        return True

    @staticmethod
    def _who() -> dict[str, Any]:
        """Return how to be somebody else than root, whom the server refuses."""
        if os.geteuid() != 0:
            return {}
        names = {each.pw_name for each in pwd.getpwall()}
        user = "postgres" if "postgres" in names else "nobody"
        return {"user": user, "group": pwd.getpwnam(user).pw_gid, "extra_groups": [], "cwd": "/"}


class TcpProxy:
    """Stand between a client and a server, and pass on, stall, cut or refuse.

    It listens on `port` inside `async with`.
    """

    def __init__(self, target: int) -> None:
        self.port = free_port()
        self.target = target
        self._flows = asyncio.Event()
        self._flows.set()
        self._server: asyncio.Server | None = None
        self._lines: set[asyncio.StreamWriter] = set()

    async def __aenter__(self) -> "TcpProxy":
        await self.accept()
        return self

    async def __aexit__(self, *_: object) -> None:
        self._flows.set()
        await self.refuse()

    async def accept(self) -> None:
        """Listen."""
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)

    async def refuse(self) -> None:
        """Listen no more, so that whoever connects is refused, and cut all connections."""
        server, self._server = self._server, None
        if server is not None:
            server.close()
            self.cut()
            await server.wait_closed()

    def stall(self) -> None:
        """From now on accept and read, but pass nothing on."""
        self._flows.clear()

    def flow(self) -> None:
        """Pass on again, first what was held back."""
        self._flows.set()

    def cut(self) -> None:
        """Break all connections with a reset."""
        for line in tuple(self._lines):
            line.transport.abort()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self.target)
        except OSError:
            writer.transport.abort()
            return
        ends = {writer, far_writer}
        self._lines |= ends
        try:
            await asyncio.gather(self._pass(reader, far_writer), self._pass(far_reader, writer))
        finally:
            self._lines -= ends

    async def _pass(self, source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while data := await source.read(65536):
                await self._flows.wait()
                target.write(data)
                await target.drain()
        target.close()
