"""Wheels that pass: loaded as themselves, two versions at once, and gone without a trace."""

import asyncio
import gc
import inspect
import pickle
import sys
import tracemalloc
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, get_type_hints

import pytest

from oneiric import Candidate, LifecycleManager, Resolver
from oneiric.errors import ForbiddenFactoryError
from oneiric.remote.errors import WheelCollisionError, WheelLoadError
from oneiric.remote.wheels import (
    Wheel,
    WheelFactory,
    forget_wheel,
    loaded_wheels,
    unpack_wheel,
)
from oneiric.remote.wheels.modules import WheelFinder
from tests.remote.building import build, shop

Unpack = Callable[..., Wheel]


@pytest.fixture(autouse=True)
def no_wheels_left() -> Iterator[None]:
    """Forget every wheel after the test, and see that nothing of them is left."""
    yield
    for digest in loaded_wheels():
        assert forget_wheel(digest)
    assert not [name for name in sys.modules if name.startswith("_oneiric_wheels.")]
    assert len([each for each in sys.meta_path if isinstance(each, WheelFinder)]) <= 1


@pytest.fixture
def unpack(tmp_path: Path) -> Unpack:
    """Build and unpack the shop in a version."""

    def made(version: str = "1", **overrides: Any) -> Wheel:
        files = {**shop(version), **overrides.pop("files", {})}
        return unpack_wheel(*build(tmp_path, files, version=version, **overrides))

    return made


def prices(wheel: Wheel) -> Any:
    """Make the component of the wheel."""
    return wheel.factory("shop.prices:Prices")()


def test_promise_m5_a_wheel_is_unpacked_beside_itself_and_loaded_from_there(
    unpack: Unpack, tmp_path: Path
) -> None:
    """Under its own digest, and from its source alone."""
    wheel = unpack()
    made = prices(wheel)

    assert (wheel.name, wheel.version, sorted(wheel.modules)) == (
        "acme-shop",
        "1",
        ["shop", "shop_tools"],
    )
    assert wheel.folder == tmp_path / wheel.sha256 / "unpacked"
    assert Path(inspect.getfile(type(made))).is_relative_to(wheel.folder)
    assert made.version() == "late 1"
    assert not list(wheel.folder.rglob("__pycache__"))
    assert loaded_wheels() == {wheel.sha256}
    assert "shop" not in sys.modules


def test_promise_m5_two_versions_live_at_once(unpack: Unpack) -> None:
    """Absolute, relative and lazy imports, resources, pickles and type hints stay apart."""
    made = [prices(unpack("1")), prices(unpack("2"))]

    assert [each.version() for each in made] == ["late 1", "late 2"]
    assert [each.text() for each in made] == ["text 1", "text 2"]
    assert [each.other() for each in made] == ["tool 1", "tool 2"]
    for number, each in enumerate(made, start=1):
        price = each.price()
        back = pickle.loads(pickle.dumps(price))
        assert (back, type(back), back.amount) == (price, type(price), number)
        assert get_type_hints(type(price))["unit"] is type(price.unit)
        assert price.unit.value == f"eur {number}"
        assert inspect.getsource(type(price)).startswith("@dataclass")
    assert type(made[0]) is not type(made[1])


def test_promise_m5_versions_stay_apart_when_threads_load_them_at_once(unpack: Unpack) -> None:
    """Whoever comes first; each version is loaded once."""
    wheels = [unpack("1"), unpack("2")]
    with ThreadPoolExecutor(8) as threads:
        made = list(threads.map(prices, wheels * 20))

    assert [each.version() for each in made] == ["late 1", "late 2"] * 20
    assert len({type(each) for each in made}) == 2


async def test_promise_m5_a_newer_wheel_is_swapped_in_while_the_old_one_serves(
    unpack: Unpack,
) -> None:
    """Under load: no call fails, and each call sees one version from beginning to end."""
    resolver = Resolver()
    for version in ("1", "2"):
        factory = unpack(version).factory("shop.prices:Prices")
        resolver.register(Candidate("service:prices", f"v{version}", factory))
    seen: list[str] = []

    async with LifecycleManager(resolver) as lifecycle:
        await lifecycle.swap("service:prices", provider="v1")
        stop, moved = asyncio.Event(), asyncio.Event()

        async def call() -> None:
            while not stop.is_set():
                async with lifecycle.use("service:prices") as held:
                    before: str = held.version()
                    await asyncio.sleep(0)
                    assert held.text() == before.replace("late", "text")
                    assert held.version() == before
                    seen.append(before)
                    moved.set()

        async with asyncio.TaskGroup() as tasks:
            for _ in range(16):
                tasks.create_task(call())
            for number in range(1, 21):
                goal = len(seen) + 20
                while len(seen) < goal:
                    moved.clear()
                    await moved.wait()
                report = await lifecycle.swap("service:prices", provider=f"v{1 + number % 2}")
                assert report.failed_phase == ""
            stop.set()

    assert {"late 1", "late 2"} == set(seen)


def test_promise_m5_a_hundred_loads_leave_nothing_behind(unpack: Unpack) -> None:
    """Modules, finders and caches go with the version; memory does not grow."""
    wheel = unpack()

    def cycle(count: int) -> int:
        for _ in range(count):
            made = prices(wheel)
            assert (made.version(), made.text()) == ("late 1", "text 1")
            del made
            assert forget_wheel(wheel.sha256)
        gc.collect()
        return tracemalloc.get_traced_memory()[0]

    tracemalloc.start()
    try:
        cycle(10)
        modules, paths = len(sys.modules), len(sys.path_importer_cache)
        grown = min(-cycle(0) + cycle(50) for _ in range(3))  # a table may grow once, for all time
    finally:
        tracemalloc.stop()

    assert grown < 300_000
    assert (len(sys.modules), len(sys.path_importer_cache)) == (modules, paths)


def test_a_forgotten_version_says_so_when_its_code_imports_again(unpack: Unpack) -> None:
    """Not some other version's module, and not a riddle; a version forgotten twice is no more."""
    wheel = unpack()
    made = prices(wheel)
    forget_wheel(wheel.sha256)

    with pytest.raises(ModuleNotFoundError, match=f"the wheel {wheel.sha256[:12]} was let go"):
        made.version()
    assert forget_wheel(wheel.sha256) is False


def test_a_factory_is_a_value(unpack: Unpack, tmp_path: Path) -> None:
    """So that an offer that did not change is the same offer after a refresh."""
    first = unpack("1").factory("shop:Prices")
    again = unpack("1").factory("shop:Prices")

    assert first == again == WheelFactory(first.folder, first.sha256, "shop:Prices")
    assert hash(first) == hash(again)
    assert first != unpack("2").factory("shop:Prices")
    assert loaded_wheels() == frozenset()


def test_a_factory_receives_settings_and_links(unpack: Unpack) -> None:
    """As any other factory."""
    made = unpack().factory("shop.prices:Prices")({"a": 1}, cache="a link")

    assert made.links == {"cache": "a link"}


@pytest.mark.parametrize(
    ("target", "error"),
    [
        ("os:system", WheelLoadError),
        ("shop.prices:json", WheelLoadError),
        ("shop.prices:Nothing", WheelLoadError),
        ("shop.prices:os.system", WheelLoadError),
        ("shop.prices:dataclass", ForbiddenFactoryError),
        ("shop.prices:PurePosixPath", ForbiddenFactoryError),
    ],
)
def test_promise_m7_a_wheel_lends_out_nothing_that_is_not_its_own(
    unpack: Unpack, target: str, error: type[Exception]
) -> None:
    """Neither other modules nor what its modules imported from them."""
    with pytest.raises(error):
        unpack().factory(target).load()


def test_an_error_of_the_wheels_own_code_is_told_as_it_is(unpack: Unpack) -> None:
    """And the next attempt runs the code again, from the beginning."""
    wheel = unpack(files={"shop/late.py": "raise RuntimeError('no database')\n"})
    made = prices(wheel)

    for _ in range(2):
        with pytest.raises(RuntimeError, match="no database"):
            made.version()


def test_packages_without_init_are_loaded_too(unpack: Unpack) -> None:
    """Namespace packages, with their resources."""
    files = {
        "shop/more/deep.py": "from shop.more import other\nclass Deep:\n    name = other.NAME\n",
        "shop/more/other.py": "from shop import VERSION\nNAME = f'deep {VERSION}'\n",
    }
    made = [unpack(version, files=files).factory("shop.more.deep:Deep")() for version in "12"]

    assert [each.name for each in made] == ["deep 1", "deep 2"]


@pytest.mark.parametrize("damage", ["changed", "missing", "added", "linked"])
def test_promise_m5_what_is_unpacked_is_compared_and_made_anew(
    unpack: Unpack, damage: str, tmp_path: Path
) -> None:
    """Only the wheel's digest was checked; what lies beside it proves nothing."""
    folder = unpack().folder
    file = folder / "shop" / "late.py"
    if damage != "added":
        file.unlink()
    if damage == "changed":
        file.write_text("NAME = 'evil 1'\n")
    elif damage == "linked":
        (tmp_path / "evil.py").write_text("NAME = 'late 1'\n")
        file.symlink_to(tmp_path / "evil.py")
    elif damage == "added":
        (folder / "json.py").write_text("raise SystemExit\n")

    wheel = unpack()

    assert prices(wheel).version() == "late 1"
    assert not file.is_symlink()
    assert not (folder / "json.py").exists()
    assert sorted(path.name for path in folder.parent.iterdir()) == ["content", "unpacked"]


def test_unpacking_at_once_does_no_harm(tmp_path: Path) -> None:
    """Whoever is quickest; all find the same files."""
    path, sha256 = build(tmp_path, shop("1"))
    with ThreadPoolExecutor(8) as threads:
        found = list(threads.map(lambda _: unpack_wheel(path, sha256), range(24)))

    assert len(set(found)) == 1
    assert prices(found[0]).version() == "late 1"
    assert sorted(each.name for each in path.parent.iterdir()) == ["content", "unpacked"]


@pytest.mark.parametrize(
    ("name", "files"),
    [
        ("oneiric", {"shop/__init__.py": ""}),
        ("PyYAML", {"shop/__init__.py": ""}),
        ("acme-shop", {"json/__init__.py": ""}),
        ("acme-shop", {"yaml.py": ""}),
        ("acme-shop", {"oneiric/evil.py": ""}),
        ("acme-shop", {"tests/__init__.py": ""}),
        ("acme-shop", {"builtins.py": ""}),
    ],
)
def test_promise_m5_a_name_that_is_taken_is_refused(
    tmp_path: Path, name: str, files: dict[str, str]
) -> None:
    """An installed distribution, a module of one, of the standard library, or of the program."""
    with pytest.raises(WheelCollisionError) as refused:
        unpack_wheel(*build(tmp_path, files, name=name))

    assert (refused.value.code, refused.value.exit_code) == ("wheel-collision", 3)
