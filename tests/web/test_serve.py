"""Where an application is served: TCP and Unix sockets, their beginning and their end."""

import asyncio
import errno
import os
import socket
import stat
from pathlib import Path

import pytest
from aiohttp import web

from oneiric.errors import (
    InvalidError,
    InvalidPathError,
    LockedError,
    NotFoundError,
    RefusedError,
    UnavailableError,
)
from oneiric.web.app import application
from oneiric.web.errors import json_response
from oneiric.web.health import health_routes
from oneiric.web.serve import TCP, Unix, served
from oneiric.web.unix import short_path
from tests.web.served import answer, request, say


async def ask(path: Path, words: bytes = request("GET", "/healthz")) -> int:
    """Ask over a Unix socket and return the status."""
    with short_path(path) as near:
        reader, writer = await asyncio.open_unix_connection(near)
    writer.write(words)
    status, _, _ = await answer(reader)
    writer.close()
    return status


async def test_port_0_is_told_as_the_real_one() -> None:
    """The system chooses; the block knows which."""
    async with served(application(health_routes()), TCP()) as where:
        assert where.url == f"http://127.0.0.1:{where.port}"
        assert (await say(where.port, request("GET", "/healthz")))[0] == 200
    with pytest.raises(ConnectionRefusedError):
        await say(where.port, b"")


async def test_a_port_in_use_is_refused() -> None:
    """The second server is told who has it not, but that somebody has."""
    async with served(application(()), TCP()) as where:
        with pytest.raises(UnavailableError, match="in use"):
            async with served(application(()), TCP(port=where.port)):
                pass


@pytest.mark.parametrize("host", ["0.0.0.0", "::"])
async def test_promise_c5_without_authentication_only_loopback_is_served(host: str) -> None:
    """Open to other machines and to anybody: refused before anything listens."""
    with pytest.raises(RefusedError, match="no authentication"):
        async with served(application(()), TCP(host)):
            pass


async def test_a_host_that_does_not_exist_is_named() -> None:
    """As an error of ours, not of the resolver."""
    with pytest.raises(NotFoundError, match="nowhere"):
        async with served(application(()), TCP("nowhere.invalid")):
            pass


async def test_a_port_that_cannot_be_is_refused() -> None:
    """As an error of ours."""
    with pytest.raises(InvalidError):
        async with served(application(()), TCP(port=70_000)):
            pass


async def test_a_unix_socket_is_its_owners_alone_and_goes_with_its_server(tmp_path: Path) -> None:
    """Mode 0600 whatever the umask; nothing is left at the end."""
    path, before = tmp_path / "s.sock", os.umask(0)
    try:
        async with served(application(health_routes()), Unix(path)):
            assert stat.S_IMODE(path.lstat().st_mode) == 0o600
            assert await ask(path) == 200
    finally:
        os.umask(before)
    assert not path.exists()


async def test_a_stale_socket_is_replaced_and_a_living_one_is_not(tmp_path: Path) -> None:
    """What a dead process left is removed; a living one keeps its own."""
    path = tmp_path / "s.sock"
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))
    async with served(application(health_routes()), Unix(path)):
        with pytest.raises(LockedError, match="living process"):
            async with served(application(()), Unix(path)):
                pass
        assert await ask(path) == 200


async def test_what_is_no_socket_is_left_alone(tmp_path: Path) -> None:
    """A file of somebody's is not removed."""
    path = tmp_path / "s.sock"
    path.write_text("mine")
    with pytest.raises(InvalidPathError):
        async with served(application(()), Unix(path)):
            pass
    assert path.read_text() == "mine"


async def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    """As an error of ours."""
    with pytest.raises(NotFoundError):
        async with served(application(()), Unix(tmp_path / "no" / "s.sock")):
            pass


async def test_a_path_longer_than_a_sockets_address_is_served(tmp_path: Path) -> None:
    """Folders may lie deep: 300 bytes of path are served and asked as a short one is."""
    folder = tmp_path / ("d" * 150) / ("e" * 150)
    folder.mkdir(parents=True)
    path = folder / "control.sock"
    with pytest.raises(OSError, match="AF_UNIX path too long") as raised:
        await asyncio.open_unix_connection(path)
    assert raised.value.errno in (None, errno.ENAMETOOLONG)
    async with served(application(health_routes()), Unix(path)):
        assert await ask(path) == 200
    assert list(folder.iterdir()) == []


async def test_what_took_the_place_of_a_socket_is_left_alone(tmp_path: Path) -> None:
    """Who was replaced removes only what is its own."""
    path = tmp_path / "s.sock"
    async with served(application(()), Unix(path)):
        path.unlink()
        path.write_text("mine")
    assert path.read_text() == "mine"


async def test_requests_under_way_finish_at_the_end(tmp_path: Path) -> None:
    """What was begun is answered; new connections are taken no more."""
    began, go = asyncio.Event(), asyncio.Event()

    async def wait(_request: web.Request) -> web.Response:
        began.set()
        await go.wait()
        return json_response("done")

    path = tmp_path / "s.sock"
    async with served(application([web.get("/wait", wait)]), Unix(path), grace=60):
        asked = asyncio.create_task(ask(path, request("GET", "/wait")))
        await began.wait()
        asyncio.get_running_loop().call_later(0.1, go.set)
    assert await asked == 200


async def test_what_outlives_the_grace_is_cancelled() -> None:
    """The end comes all the same, and the handler has ended by then."""
    began, ended = asyncio.Event(), asyncio.Event()

    async def wait(_request: web.Request) -> web.Response:
        began.set()
        try:
            await asyncio.sleep(3_600)
        finally:
            ended.set()
        return json_response("done")

    async with served(application([web.get("/wait", wait)]), TCP(), grace=0.2) as where:
        asked = asyncio.create_task(say(where.port, request("GET", "/wait")))
        await began.wait()
    assert ended.is_set()
    with pytest.raises((asyncio.IncompleteReadError, ConnectionError)):
        await asked


async def test_what_goes_on_for_a_client_that_has_gone_ends_with_the_server() -> None:
    """It is given the grace, and then cancelled as well."""
    began, ended = asyncio.Event(), asyncio.Event()

    async def wait(_request: web.Request) -> web.Response:
        began.set()
        try:
            await asyncio.sleep(3_600)
        finally:
            ended.set()
        return json_response("done")

    async with served(application([web.get("/wait", wait)]), TCP(), grace=0.2) as where:
        _, writer = await asyncio.open_connection("127.0.0.1", where.port)
        writer.write(request("GET", "/wait"))
        await began.wait()
        writer.close()
        await writer.wait_closed()
        await asyncio.sleep(0.05)
        assert not ended.is_set()
    assert ended.is_set()
