"""Wheels that do not pass, each refused for its own reason before anything is unpacked."""

import io
import stat
import struct
import zipfile
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from oneiric.remote.errors import (
    DamagedWheelError,
    SelfImportError,
    WheelCollisionError,
    WheelError,
    WheelLinkError,
    WheelPathError,
    WheelPythonError,
    WheelRequirementError,
    WheelTagError,
    WheelTooLargeError,
    WheelTooManyError,
)
from oneiric.remote.wheels import WheelLimits, loaded_wheels, unpack_wheel
from oneiric.remote.wheels.requirements import unmet
from tests.remote.building import build, put, shop

Change = Callable[[zipfile.ZipFile], None]


def refused(path: Path, sha256: str, error: type[WheelError], **limits: int) -> WheelError:
    """See that the wheel is refused, and that nothing was written."""
    with pytest.raises(error) as caught:
        unpack_wheel(path, sha256, limits=WheelLimits(**limits))
    assert type(caught.value) is error
    assert [each.name for each in path.parent.iterdir()] == ["content"]
    assert loaded_wheels() == frozenset()
    return caught.value


def hostile(folder: Path, change: Change) -> tuple[Path, str]:
    """Return a good wheel to which *change* adds something."""
    path, _ = build(folder / "good", shop("1"))
    target = io.BytesIO(path.read_bytes())
    with zipfile.ZipFile(target, "a", zipfile.ZIP_DEFLATED) as archive:
        change(archive)
    return put(folder, target.getvalue())


def entry(name: str, *, mode: int = 0) -> zipfile.ZipInfo:
    """Return an entry of any name and kind."""
    info = zipfile.ZipInfo("x")
    info.filename = info.orig_filename = name
    info.external_attr = mode << 16
    return info


@pytest.mark.parametrize(
    "name",
    [
        "../evil.py",
        "shop/../../evil.py",
        "/etc/evil.py",
        "shop//evil.py",
        "./evil.py",
        "shop\\..\\evil.py",
        "C:/evil.py",
        "shop/e\nvil.py",
        "shop/LATE.py",
        "shop/late.py/evil.py",
        "shop",
        "a/" * 40 + "evil.py",
        "a" * 300 + ".py",
    ],
)
def test_promise_m5_no_file_leaves_its_place(tmp_path: Path, name: str) -> None:
    """Zip slip in all its forms, and two files for one place."""
    wheel = hostile(tmp_path, lambda archive: archive.writestr(entry(name), "evil"))

    assert refused(*wheel, WheelPathError).code == "wheel-path"


@pytest.mark.parametrize("kind", [stat.S_IFLNK, stat.S_IFIFO, stat.S_IFBLK, stat.S_IFSOCK])
def test_promise_m5_no_link_and_no_device(tmp_path: Path, kind: int) -> None:
    """What is not a file is nothing a wheel needs."""
    link = entry("shop/link.py", mode=kind | 0o777)
    wheel = hostile(tmp_path, lambda archive: archive.writestr(link, "/etc/passwd"))

    assert refused(*wheel, WheelLinkError).code == "wheel-link"


def test_promise_m5_a_bomb_does_not_go_off(tmp_path: Path) -> None:
    """Packed a thousandfold; one file too long; too many bytes in all."""
    bomb = hostile(tmp_path, lambda archive: archive.writestr("shop/zeros", bytes(50_000_000)))
    plain = build(tmp_path, shop("1"))

    assert refused(*bomb, WheelTooLargeError).code == "wheel-too-large"
    refused(*plain, WheelTooLargeError, file_bytes=100)
    refused(*plain, WheelTooLargeError, total_bytes=1000)


def test_promise_m5_files_that_overlap_are_a_bomb(tmp_path: Path) -> None:
    """A thousand names for the same packed bytes."""
    path, _ = build(tmp_path / "good", {**shop("1"), "shop/big.txt": str(list(range(30_000)))})
    target = io.BytesIO(path.read_bytes())
    with zipfile.ZipFile(target, "a") as archive:
        first = archive.getinfo("shop/big.txt")
        for number in range(20):
            again = entry(f"shop/again{number}.txt")
            for name in ("header_offset", "compress_size", "file_size", "CRC", "compress_type"):
                setattr(again, name, getattr(first, name))
            archive.filelist.append(again)
            archive.NameToInfo[again.filename] = again
        archive.writestr("shop/last.txt", "")

    refused(*put(tmp_path, target.getvalue()), WheelTooLargeError)


def test_promise_m5_too_many_files_are_counted_before_they_are_read(tmp_path: Path) -> None:
    """By what the end of the archive says, and by what its directory holds."""

    def many(archive: zipfile.ZipFile) -> None:
        for number in range(6_000):
            archive.writestr(f"shop/{number}.txt", "")

    path, sha256 = hostile(tmp_path, many)
    assert refused(path, sha256, WheelTooManyError).code == "wheel-too-many"

    data = bytearray(path.read_bytes())
    data[-14:-10] = struct.pack("<HH", 5, 5)
    refused(*put(tmp_path, bytes(data)), WheelTooManyError)


@pytest.mark.parametrize(
    "damage",
    [
        lambda data: b"",
        lambda data: b"not a zip archive at all, but long enough for one" * 3,
        lambda data: data[:-1],
        lambda data: data + b"x",
        lambda data: data[: len(data) // 2] + data[-22:],
        lambda data: data.replace(b"NAME = ", b"EVIL = "),
        lambda data: data[:100] + bytes(400) + data[500:],
    ],
    ids=["empty", "other", "cut", "longer", "half", "changed", "zeroed"],
)
def test_what_is_no_whole_archive_is_refused(
    tmp_path: Path, damage: Callable[[bytes], bytes]
) -> None:
    """Whatever is wrong with it, the error is ours."""
    path, _ = build(tmp_path / "good", shop("1"))
    stored = io.BytesIO()
    with zipfile.ZipFile(path) as packed, zipfile.ZipFile(stored, "w") as archive:
        for name in packed.namelist():
            archive.writestr(name, packed.read(name))

    assert refused(*put(tmp_path, damage(stored.getvalue())), DamagedWheelError).code == (
        "wheel-damaged"
    )


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_only_the_usual_way_of_packing_is_taken(tmp_path: Path, method: int) -> None:
    """Others may ask for any amount of memory."""
    wheel = hostile(
        tmp_path, lambda archive: archive.writestr("shop/x.txt", "x" * 100, compress_type=method)
    )
    refused(*wheel, DamagedWheelError)


@pytest.mark.parametrize(
    ("files", "overrides"),
    [
        ({}, {"tag": "cp311-cp311-manylinux_2_17_x86_64"}),
        ({}, {"tag": "py3-none-linux_x86_64"}),
        ({}, {"tag": "py2-none-any"}),
        ({}, {"pure": "false"}),
        ({"shop/fast.so": b"\x7fELF"}, {}),
        ({"shop/fast.pyc": b"\0"}, {}),
        ({"acme_shop-1.data/scripts/run": "#!/bin/sh"}, {}),
    ],
)
def test_promise_m5_only_pure_wheels_for_every_machine(
    tmp_path: Path, files: dict[str, str | bytes], overrides: dict[str, str]
) -> None:
    """By its tags, by what it says, and by what it holds."""
    wheel = build(tmp_path, {**shop("1"), **files}, **overrides)

    assert refused(*wheel, WheelTagError).code == "wheel-tag"


def test_a_wheel_for_python_2_and_3_is_for_python_3(tmp_path: Path) -> None:
    """Several tags, all pure."""
    unpack_wheel(*build(tmp_path, shop("1"), tag="py2-none-any\nTag: py3-none-any"))


@pytest.mark.parametrize("without", ["METADATA", "WHEEL"])
def test_what_every_wheel_has_must_be_there(tmp_path: Path, without: str) -> None:
    """A zip archive alone is no wheel; nor is a wheel without a module."""
    refused(*build(tmp_path, shop("1"), without=without), DamagedWheelError)
    refused(*build(tmp_path, {"readme.txt": ""}), DamagedWheelError)


@pytest.mark.parametrize(
    "said", [{"name": "a\x1b[2Jb"}, {"name": "-"}, {"version": "1\x07"}, {"version": "x" * 200}]
)
def test_a_wheel_has_a_proper_name_and_version(tmp_path: Path, said: dict[str, str]) -> None:
    """They are shown to people, on terminals."""
    refused(*build(tmp_path, shop("1"), **said), DamagedWheelError)


@pytest.mark.parametrize("python", [">=4", "<3.11", "==3.9.*", "three"])
def test_promise_m5_a_wheel_for_another_python_is_refused(tmp_path: Path, python: str) -> None:
    """As its own metadata says."""
    wheel = build(tmp_path, shop("1"), metadata=f"Requires-Python: {python}\n")

    assert refused(*wheel, WheelPythonError).code == "wheel-python"


def test_promise_m5_what_is_required_must_be_installed(tmp_path: Path) -> None:
    """All that is missing is told at once; nothing is installed."""
    lines = ["pydantic>=2", "no-such-thing", "pyyaml<1", "pytest; extra == 'test'"]
    metadata = "".join(f"Requires-Dist: {line}\n" for line in lines)

    error = refused(*build(tmp_path, shop("1"), metadata=metadata), WheelRequirementError)

    assert error.code == "wheel-requirement"
    assert "no-such-thing is not installed; pyyaml <1 is required" in error.reason
    unpack_wheel(*build(tmp_path, shop("1"), metadata="Requires-Dist: pydantic (>=2,<99)\n"))


@pytest.mark.parametrize(
    ("requirement", "is_met"),
    [
        ("pydantic", True),
        ("Pydantic_Core>1", True),
        ("pydantic~=2.0", True),
        ("pydantic!=2.*", False),
        ("pydantic==1.0rc1", False),
        ("pydantic!=1.0rc1", True),
        ("no-such; python_version < '3'", True),
        ("no-such; python_version >= '3.11'", False),
        ("no-such; '3' > python_version", True),
        ("no-such; sys_platform == 'win32' and os_name == 'nt'", True),
        ("no-such; sys_platform == 'win32' or implementation_name in 'cpython pypy'", False),
        ("no-such; extra == 'x'", True),
        ("pydantic[email]; python_version > '4'", True),
        ("pydantic; __import__('os').system('true')", False),
        ("pydantic; (", False),
        ("pydantic; unknown == '1'", False),
        ("pydantic>=1.0rc1", False),
        ("pydantic @ https://example.org/x.whl", False),
        ("", False),
        ("x" * 2000, False),
        ("pydantic; " + "(" * 900, False),
    ],
)
def test_requirements_are_read_strictly(requirement: str, is_met: bool) -> None:
    """Names, versions and markers of PEP 508; what cannot be read is not met."""
    assert (unmet(requirement) == "") is is_met


@pytest.mark.parametrize(
    "line",
    [
        "importlib.import_module('shop.late')",
        'import_module("shop")',
        "importlib.import_module(name='shop.late')",
        "resources.files('shop')",
        "metadata.version('acme-shop')",
        "builtins.__import__('shop.late')",
        "sys.modules['shop']",
        "pkgutil.resolve_name('shop.late:NAME')",
        "util.find_spec('shop.late')",
    ],
)
def test_promise_m5_who_asks_for_itself_by_a_text_is_refused(tmp_path: Path, line: str) -> None:
    """It would find nothing, or another version; the error names the place."""
    wheel = build(tmp_path, {**shop("1"), "shop/asks.py": f"def f():\n    return {line}\n"})

    error = refused(*wheel, SelfImportError)

    assert (error.code, "shop/asks.py:2 asks for" in error.reason) == ("wheel-self-import", True)


@pytest.mark.parametrize(
    "line",
    [
        "import_module('json')",
        "import_module('.late', __package__)",
        "print('shop')",
        "files(shop)",
        "{'shop': 1}['shop']",
    ],
)
def test_other_texts_may_name_the_wheel(tmp_path: Path, line: str) -> None:
    """Only what asks for a module is of interest."""
    unpack_wheel(*build(tmp_path, {**shop("1"), "shop/asks.py": f"def f():\n    {line}\n"}))


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(changes=st.lists(st.tuples(st.integers(0, 5_000), st.integers(0, 255)), max_size=8))
def test_whatever_is_changed_in_a_wheel_the_error_is_ours(
    tmp_path_factory: pytest.TempPathFactory, changes: list[tuple[int, int]]
) -> None:
    """Any bytes anywhere: it is taken, or refused as a wheel."""
    folder = tmp_path_factory.mktemp("changed")
    data = bytearray(build(folder, shop("1"))[0].read_bytes())
    for place, byte in changes:
        data[-1 - place % len(data)] = byte
    with suppress(WheelError):
        unpack_wheel(*put(folder, bytes(data)))


def test_each_reason_has_a_code_of_its_own() -> None:
    """So that a manifest's report can be acted on."""
    classes = [
        DamagedWheelError,
        SelfImportError,
        WheelCollisionError,
        WheelLinkError,
        WheelPathError,
        WheelPythonError,
        WheelRequirementError,
        WheelTagError,
        WheelTooLargeError,
        WheelTooManyError,
    ]
    assert len({each.code for each in classes}) == len(classes)


@pytest.fixture(autouse=True)
def nothing_is_loaded() -> Iterator[None]:
    """Checking runs nothing."""
    yield
    assert loaded_wheels() == frozenset()
