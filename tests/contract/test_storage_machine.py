"""Any sequence of calls has the same results in every object store as in a dictionary."""

import asyncio
import tempfile
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)

from oneiric.ports import ConflictError, NotFoundError, ObjectStore
from tests.contract.cases import CASES, Surroundings, brought_up

# None is a folder of another, for there stores on a file system are narrower.
NAMES = ["a", "a.b", "dir/a", "dir/b c", "dir.x/ü/1", "dir/ü"]
KEYS = st.sampled_from(NAMES)
DATA = st.binary(max_size=40)
PLACES = st.none() | st.integers(0, 50)
MISSING, CONFLICT = "missing", "conflict"


class StoresAgree(RuleBasedStateMachine):
    """Drive all stores with the same calls, and compare each answer with a dictionary's."""

    def __init__(self) -> None:
        super().__init__()
        self.model: dict[str, bytes] = {}
        self.runner = asyncio.Runner()
        self.up = AsyncExitStack()
        self.folder = tempfile.TemporaryDirectory()
        self.stores: dict[str, ObjectStore] = {}

    @initialize()
    def bring_up(self) -> None:
        async def start() -> None:
            find = await self.up.enter_async_context(
                brought_up(Surroundings(Path(self.folder.name)))
            )
            for offer, case in CASES.items():
                if case.key == "storage":
                    self.stores[offer] = await find(offer)

        self.runner.run(start())

    def teardown(self) -> None:
        self.runner.run(self.up.aclose())
        self.runner.close()
        self.folder.cleanup()

    def agree(self, call: Callable[[ObjectStore], Awaitable[Any]], expected: object) -> None:
        async def answer(store: ObjectStore) -> object:
            try:
                return await call(store)
            except NotFoundError:
                return MISSING
            except ConflictError:
                return CONFLICT

        async def answers() -> dict[str, object]:
            return {offer: await answer(store) for offer, store in self.stores.items()}

        assert self.runner.run(answers()) == dict.fromkeys(self.stores, expected)

    @rule(key=KEYS, data=DATA, if_absent=st.booleans())
    def put(self, key: str, data: bytes, if_absent: bool) -> None:
        async def call(store: ObjectStore) -> tuple[str, int]:
            found = await store.put(key, data, if_absent=if_absent)
            return found.key, found.size

        refused = if_absent and key in self.model
        self.agree(call, CONFLICT if refused else (key, len(data)))
        if not refused:
            self.model[key] = data

    @rule(key=KEYS, parts=st.lists(DATA, max_size=3))
    def put_in_pieces(self, key: str, parts: list[bytes]) -> None:
        async def pieces() -> Any:
            for part in parts:
                yield part

        async def call(store: ObjectStore) -> int:
            return (await store.put(key, pieces())).size

        self.model[key] = b"".join(parts)
        self.agree(call, len(self.model[key]))

    @rule(key=KEYS, start=PLACES, end=PLACES)
    def get(self, key: str, start: int | None, end: int | None) -> None:
        expected = self.model[key][start:end] if key in self.model else MISSING
        self.agree(lambda store: store.get(key, start=start, end=end), expected)

    @rule(key=KEYS, size=st.integers(1, 20))
    def stream(self, key: str, size: int) -> None:
        async def call(store: ObjectStore) -> bytes:
            return b"".join([piece async for piece in store.stream(key, chunk_size=size)])

        self.agree(call, self.model.get(key, MISSING))

    @rule(key=KEYS)
    def delete(self, key: str) -> None:
        self.agree(lambda store: store.delete(key), None)
        self.model.pop(key, None)

    @rule(key=KEYS, other=KEYS)
    def copy(self, key: str, other: str) -> None:
        self.agree(lambda store: store.copy(key, other), None if key in self.model else MISSING)
        if key in self.model:
            self.model[other] = self.model[key]

    @rule(prefix=st.sampled_from(["", "a", "d", "dir", "dir/", "dir.", "dir/ü", "x"]))
    def keys(self, prefix: str) -> None:
        async def call(store: ObjectStore) -> list[str]:
            return [found.key async for found in store.list(prefix)]

        self.agree(call, sorted(key for key in self.model if key.startswith(prefix)))

    @invariant()
    def all_objects_agree(self) -> None:
        async def call(store: ObjectStore) -> dict[str, tuple[bool, bytes | None]]:
            return {key: (await store.exists(key), await store.download(key)) for key in NAMES}

        self.agree(call, {key: (key in self.model, self.model.get(key)) for key in NAMES})


def test_all_stores_agree_with_a_dictionary() -> None:
    """Whatever the calls, their order and the data."""
    run_state_machine_as_test(
        StoresAgree,
        settings=settings(
            max_examples=30,
            stateful_step_count=20,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
