"""Every object store keeps what the port `ObjectStore` promises; then each its own."""

import asyncio
import os
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, cast

import pytest

from oneiric.adapters.storage.local import LocalStorage, LocalStorageSettings
from oneiric.ports import (
    ConflictError,
    InvalidRequestError,
    NotFoundError,
    NotSupportedError,
    ObjectStore,
    UnavailableError,
)
from tests.contract.cases import CASES, Find, ProviderCase, Surroundings, for_each

for_local = pytest.mark.parametrize(
    "case", [CASES["adapter:storage@local"]], ids=["storage@local"], indirect=True
)
BIG = bytes(range(256)) * 49152  # 12 MiB


@pytest.fixture
async def store(case: ProviderCase, component: Find) -> ObjectStore:
    """The store of the case, empty."""
    found: ObjectStore = await component(case.offer)
    return found


async def pieces(*parts: bytes) -> AsyncIterator[bytes]:
    for part in parts:
        await asyncio.sleep(0)
        yield part


async def letters() -> AsyncIterator[str]:
    yield "text"


async def keys(store: ObjectStore, prefix: str = "") -> list[str]:
    return [found.key async for found in store.list(prefix)]


@for_each("storage")
@pytest.mark.parametrize("data", [b"", b"x", BIG], ids=["empty", "one", "12 MiB"])
async def test_what_was_put_comes_back(store: ObjectStore, data: bytes) -> None:
    """Whole by `get`, in pieces by `stream`, and described by what `put` returned."""
    info = await store.put("k", data)
    streamed = [piece async for piece in store.stream("k", chunk_size=1 << 20)]

    assert await store.get("k") == data
    assert b"".join(streamed) == data
    assert all(0 < len(piece) <= 1 << 20 for piece in streamed)
    assert (info.key, info.size) == ("k", len(data))
    assert abs(datetime.now(UTC) - info.modified) < timedelta(minutes=1)
    assert await store.head("k") == info


@for_each("storage")
async def test_pieces_are_put_as_one(store: ObjectStore) -> None:
    """Whatever their number."""
    info = await store.put("k", pieces(b"ab", b"", BIG, b"c"))

    assert info.size == len(BIG) + 3
    assert await store.get("k") == b"ab" + BIG + b"c"


@for_each("storage")
async def test_a_broken_upload_leaves_what_was_there(store: ObjectStore) -> None:
    """Neither half an object nor a trace of it."""

    async def broken() -> AsyncIterator[bytes]:
        yield b"half"
        raise ZeroDivisionError

    await store.put("old", b"old")
    for key in ("old", "new"):
        with pytest.raises(ZeroDivisionError):
            await store.put(key, broken())

    assert await keys(store) == ["old"]
    assert await store.get("old") == b"old"


@for_each("storage")
@pytest.mark.parametrize(
    ("start", "end", "expected"),
    [
        (0, 3, b"012"),
        (3, None, b"3456789"),
        (None, 2, b"01"),
        (8, 100, b"89"),
        (20, 30, b""),
        (5, 5, b""),
        (5, 3, b""),
        (0, 0, b""),
    ],
)
async def test_a_range_is_a_slice(
    store: ObjectStore, start: int | None, end: int | None, expected: bytes
) -> None:
    """From the first to before the last, and short where the object is."""
    await store.put("k", b"0123456789")

    assert await store.get("k", start=start, end=end) == expected


@for_each("storage")
async def test_a_negative_range_is_refused(store: ObjectStore) -> None:
    """It has no one meaning among stores."""
    await store.put("k", b"0123456789")
    with pytest.raises(InvalidRequestError):
        await store.get("k", start=-3)


@for_each("storage")
async def test_of_many_puts_if_absent_one_wins(store: ObjectStore) -> None:
    """The rest are conflicts, and the object is the winner's, whole."""
    datas = [bytes([number]) * 10_000 for number in range(30)]
    puts = (store.put("dir/k", data, if_absent=True) for data in datas)

    results = await asyncio.gather(*puts, return_exceptions=True)

    winners = [n for n, result in enumerate(results) if not isinstance(result, Exception)]
    assert len(winners) == 1
    assert {type(r) for r in results if isinstance(r, Exception)} == {ConflictError}
    assert await store.get("dir/k") == datas[winners[0]]


@for_each("storage")
async def test_readers_see_one_whole_version(store: ObjectStore) -> None:
    """Never a mix, while it is replaced again and again."""
    await store.put("k", b"0" * 200_000)

    async def replace() -> None:
        for digit in b"123456789":
            await store.put("k", bytes([digit]) * 200_000)

    writing = asyncio.create_task(replace())
    seen = []
    while not writing.done():
        seen.append(await store.get("k"))
    await writing

    assert all(len(set(data)) == 1 and len(data) == 200_000 for data in seen)


@for_each("storage")
async def test_what_is_missing_is_not_found(store: ObjectStore) -> None:
    """By every call that reads; deleting it is no error."""
    with pytest.raises(NotFoundError):
        await store.get("absent")
    with pytest.raises(NotFoundError):
        await store.head("absent")
    with pytest.raises(NotFoundError):
        await anext(aiter(store.stream("absent")))
    with pytest.raises(NotFoundError):
        await store.copy("absent", "other")
    await store.delete("absent")
    assert await store.exists("absent") is False
    assert await keys(store) == []


@for_each("storage")
async def test_the_names_of_other_stores_are_served_too(store: ObjectStore) -> None:
    """`upload` and `save` put; `download` and `read` give None where `get` is an error."""
    await store.upload("a", b"1", content_type="text/plain")
    await store.save("b", pieces(b"2", b"3"))

    assert [await store.download("a"), await store.read("b")] == [b"1", b"23"]
    assert [await store.download("absent"), await store.read("absent")] == [None, None]
    assert await keys(store) == ["a", "b"]


@for_each("storage")
async def test_delete_and_copy(store: ObjectStore) -> None:
    """A copy is an object of its own, and replaces what was there."""
    await store.put("a", b"1")
    await store.put("b", b"2")
    await store.copy("a", "b")
    await store.copy("a", "deep/c")
    await store.put("a", b"3")
    await store.delete("deep/c")

    assert await store.get("b") == b"1"
    assert await keys(store) == ["a", "b"]


@for_each("storage")
async def test_an_etag_changes_with_the_content(store: ObjectStore) -> None:
    """Also when the size does not."""
    first = await store.put("k", b"a")
    second = await store.put("k", b"b")

    assert first.etag
    assert first.etag != second.etag


@for_each("storage")
async def test_more_than_a_thousand_are_listed_in_order(store: ObjectStore) -> None:
    """By the UTF-8 of the whole key, folders or not."""
    names = [f"n{number:04}" for number in range(1100)]
    names += ["a/b", "a.txt", "a/b.c", "a-b/c", "ä/ö", "z/1/2/3", "z/10", "Z"]
    for start in range(0, len(names), 50):
        await asyncio.gather(*(store.put(name, b"") for name in names[start : start + 50]))

    assert await keys(store) == sorted(names)
    assert await keys(store, "a/") == ["a/b", "a/b.c"]
    assert await keys(store, "a") == ["a-b/c", "a.txt", "a/b", "a/b.c"]
    assert await keys(store, "z/1") == ["z/1/2/3", "z/10"]
    assert await keys(store, "n010") == [f"n{number:04}" for number in range(100, 110)]
    assert await keys(store, "absent/") == []


@for_each("storage")
@pytest.mark.parametrize(
    "key", ["übersicht/🜁.pdf", "a b", "-x", "...", "x" * 200, "/".join("abcdefgh" * 30), "%2e"]
)
async def test_any_text_is_a_key(store: ObjectStore, key: str) -> None:
    """Unicode, spaces, dots and deep paths."""
    await store.put(key, b"x")

    assert await keys(store) == [key]
    assert await store.get(key) == b"x"


@for_each("storage")
@pytest.mark.parametrize(
    "key",
    [
        *("", "/", "/etc/passwd", "../x", "a/../b", "a/./b", ".", "..", "a//b", "a/", "a\x00b"),
        *("\n", "x" * 256, f"a/{'ü' * 128}/b", "x/" * 512 + "x", "\ud800"),
    ],
    ids=lambda key: repr(key)[:20],
)
async def test_a_key_that_not_every_store_can_keep_is_refused(store: ObjectStore, key: str) -> None:
    """By every call alike, whether it leads elsewhere, is too long or is half a character."""
    calls = [
        store.put(key, b""),
        store.put(key, b"", if_absent=True),
        store.get(key),
        store.head(key),
        store.exists(key),
        store.delete(key),
        store.copy(key, "k"),
        anext(aiter(store.stream(key))),
    ]

    results = await asyncio.gather(*calls, return_exceptions=True)

    assert [type(result) for result in results] == [InvalidRequestError] * len(calls)


@for_each("storage")
@pytest.mark.parametrize(
    "data",
    ["text", None, [b"a"], 5, letters],
    ids=["text", "None", "list", "int", "text in pieces"],
)
async def test_what_is_no_bytes_is_refused(store: ObjectStore, data: Any) -> None:
    """At once or in pieces; and nothing is kept of it."""
    with pytest.raises(InvalidRequestError, match="bytes"):
        await store.put("k", letters() if data is letters else data)

    assert await keys(store) == []


@for_each("storage")
async def test_metadata_is_kept_or_refused(case: ProviderCase, store: ObjectStore) -> None:
    """Never silently lost."""
    if "metadata" in store.capabilities:
        info = await store.put("k", b"", content_type="text/plain", metadata={"a": "b"})
        assert (info.content_type, dict(info.metadata)) == ("text/plain", {"a": "b"})
        return
    await store.put("k", b"", content_type="text/plain")
    with pytest.raises(NotSupportedError):
        await store.put("k", b"", metadata={"a": "b"})


@for_local
async def test_links_that_lead_out_are_refused(store: ObjectStore, here: Surroundings) -> None:
    """Of files and of folders, to read and to write; none is listed."""
    outside = here.folder / "outside"
    outside.mkdir()
    (outside / "file").write_text("mine")
    (here.folder / "objects" / "link").symlink_to(outside)
    (here.folder / "objects" / "file").symlink_to(outside / "file")

    calls: list[Any] = [
        store.get("link/file"),
        store.put("link/new", b""),
        store.delete("link/file"),
        store.get("file"),
        store.put("file", b"theirs"),
    ]
    results = await asyncio.gather(*calls, return_exceptions=True)

    assert {type(result) for result in results} == {InvalidRequestError}
    assert [path.name for path in outside.iterdir()] == ["file"]
    assert (outside / "file").read_text() == "mine"
    assert await keys(store) == []


@for_local
async def test_what_is_no_plain_file_is_no_object(store: ObjectStore, here: Surroundings) -> None:
    """A pipe does not hang, a folder is not an object, and the place for drafts is hidden."""
    os.mkfifo(here.folder / "objects" / "pipe")
    await store.put("folder/k", b"")

    for key in ("pipe", "folder", "folder/k/below"):
        with pytest.raises(NotFoundError):
            await store.get(key)
    with pytest.raises(InvalidRequestError):
        await store.put(".oneiric-staging/x", b"")
    assert await keys(store) == ["folder/k"]


@for_local
async def test_a_key_in_the_way_of_another_is_a_conflict(store: ObjectStore) -> None:
    """A path is a file or a folder; when the last object below is gone it is free again."""
    await store.put("a/b", b"1")
    with pytest.raises(ConflictError):
        await store.put("a", b"2")
    await store.put("c", b"3")
    with pytest.raises(ConflictError):
        await store.put("c/d", b"4")
    await store.delete("a/b")
    await store.put("a", b"5")

    assert await keys(store) == ["a", "c"]


@for_local
async def test_puts_and_deletes_in_one_folder_do_not_disturb_each_other(
    store: ObjectStore,
) -> None:
    """A folder that a delete takes away is made again."""

    async def churn(name: str) -> None:
        for _ in range(40):
            await store.put(f"deep/er/{name}", b"x")
            await store.delete(f"deep/er/{name}")

    await asyncio.gather(*(churn(str(number)) for number in range(6)))

    assert await keys(store) == []


async def test_a_put_whose_object_is_deleted_meanwhile_was_a_put(tmp_path: Path) -> None:
    """The object was there; that its folder is gone by then is no failure of the put."""
    store = LocalStorage(LocalStorageSettings(base_path=tmp_path, durable=True))
    await store.init()

    async def put() -> None:
        for _ in range(300):
            await store.put("deep/er/k", b"x")

    async def delete() -> None:
        while not putting.done():
            await store.delete("deep/er/k")

    async with asyncio.TaskGroup() as group:
        putting = group.create_task(put())
        for _ in range(4):
            group.create_task(delete())


@for_local
async def test_a_folder_that_vanished_is_unavailable(store: Any, here: Surroundings) -> None:
    """Health says so without raising, and sees it when it is back."""
    objects = here.folder / "objects"
    objects.rename(here.folder / "aside")
    gone = await store.health()
    with pytest.raises(UnavailableError):
        await store.put("k", b"")
    with pytest.raises(UnavailableError):
        await keys(store)
    (here.folder / "aside").rename(objects)

    assert (gone.healthy, "the folder is gone" in gone.detail) == (False, True)
    assert bool(await store.health())


def open_files() -> int:
    return len(list(Path("/dev/fd").iterdir()))


@for_local
async def test_a_reader_that_is_cancelled_leaves_no_file_open(
    store: ObjectStore, here: Surroundings
) -> None:
    """Wherever it stood."""
    await store.put("k", b"x" * 100_000)

    async def read() -> None:
        async with aclosing(
            cast("AsyncGenerator[bytes, None]", store.stream("k", chunk_size=1000))
        ) as s:
            async for _ in s:
                pass

    before = open_files()
    for wait in range(20):
        readers = [asyncio.create_task(read()) for _ in range(8)]
        await asyncio.sleep(wait / 10_000)
        for reader in readers:
            reader.cancel()
        await asyncio.gather(*readers, return_exceptions=True)
    await asyncio.sleep(0.1)

    assert open_files() <= before


@for_local
async def test_nothing_is_left_aside(store: ObjectStore, here: Surroundings) -> None:
    """Neither by puts nor by those that are cancelled; old drafts are swept by init."""
    staging = here.folder / "objects" / ".oneiric-staging"
    for wait in range(20):
        uploads = [asyncio.create_task(store.put(str(n), pieces(b"x", b"y"))) for n in range(8)]
        await asyncio.sleep(wait / 10_000)
        for upload in uploads:
            upload.cancel()
        await asyncio.gather(*uploads, return_exceptions=True)
    await asyncio.sleep(0.1)
    left = [path.name for path in staging.iterdir()]
    (staging / "crashed").touch()
    os.utime(staging / "crashed", (0, 0))
    (staging / "young").touch()
    await store.init()  # type: ignore[attr-defined]

    assert left == []
    assert [path.name for path in staging.iterdir()] == ["young"]
