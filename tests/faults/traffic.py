"""Mixed traffic on an orchestrator in a process of its own, and what must have come of it."""

from __future__ import annotations

import asyncio
import json
import re
import signal
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, closing, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp

from oneiric.adapters.queue.sqlite import SqliteQueue, SqliteQueueSettings
from oneiric.clock import SystemClock
from oneiric.domains.messages import WorkMessage
from oneiric.errors import JSONValue, UnavailableError
from oneiric.files import write_atomic
from oneiric.runtime.answer import View
from oneiric.runtime.live import Live
from oneiric.testing import ManifestSimulator
from oneiric.web.control.client import ControlClient
from tests.acceptance.commands import ROOT, environment
from tests.distributions import install
from tests.faults.traffic_parts import EAR, FAR, MARK, MARKS, PLUGINS, STEPS, TOPIC, WORKFLOW

PATIENCE_SECONDS = 90.0
CALLERS = 4
PACE_SECONDS = 0.1
PROC = Path("/proc")
CONFIG = """
[plugins]
allowed_prefixes = ["tests"]
[orchestrator]
health_interval = 1
[logging]
emit_json = true
[runs]
lease_seconds = {lease}
[worker]
back_seconds = 0.5
beat_seconds = 1
[adapters.provider_settings."queue@sqlite"]
visibility_timeout = {lease}
poll_interval = 0.05
[remote.sources.acme]
uri = "{uri}"
trust = "acme.root.json"
[tasks.provider_settings."traffic-mark@one"]
save = {save}
"""
_SAID = ("orchestrator ", "warning: the source acme brings nothing yet")
_SWAPS = r'^oneiric_lifecycle_swaps_total\{domain="task",result="([a-z-]+)"\} (\S+)$'


@dataclass(frozen=True, slots=True)
class Vitals:
    """What a process has in use, where the system tells."""

    at: float
    rss: int
    descriptors: int
    threads: int

    @classmethod
    def of(cls, pid: int) -> Vitals | None:
        """Look at a process; None where the system has no such folder of it."""
        try:
            told = (PROC / str(pid) / "status").read_text()
            open_ones = len(list((PROC / str(pid) / "fd").iterdir()))
        except OSError:
            return None
        values = dict(line.split(":", 1) for line in told.splitlines())
        if "VmRSS" not in values:
            return None
        rss = int(values["VmRSS"].split()[0]) << 10
        return cls(time.monotonic(), rss, open_ones, int(values["Threads"]))


class Orchestra:
    """A folder in which one orchestrator at a time runs, and is killed and begun again."""

    def __init__(self, folder: Path, site: ManifestSimulator, *, lease: float) -> None:
        self.folder = folder
        self.cache = folder / ".oneiric_cache"
        self.child: subprocess.Popen[bytes] | None = None
        self.url = ""
        self.is_up = asyncio.Event()
        self.save_no = 0
        self._site, self._lease = site, lease
        self._log = folder / "log"
        points = {f"oneiric.{name}": f"traffic:{name.upper()}" for name in PLUGINS}
        module = f"from tests.faults.traffic_parts import {', '.join(points.values())}\n"
        module = module.replace("traffic:", "")
        self._path = install(folder / "site", "traffic", entry_points=points, module=module)
        site.pin(folder / "acme.root.json")
        self.publish()
        self.configure()

    def publish(self) -> None:
        """Publish another version, of which the one entry is another too."""
        number = self._site.version + 1
        entry = self._site.entry("task:traffic-far", "acme", FAR, metadata={"number": number})
        self._site.publish(entry)

    def configure(self) -> None:
        """Save the configuration as it shall be now."""
        told = {"lease": self._lease, "uri": self._site.uri}
        text = CONFIG.format(save=self.save_no, **told)
        write_atomic(self.folder / "oneiric.toml", text.encode())

    async def begin(self) -> None:
        """Start one, and return when it is ready."""
        self.child = self._started()
        await self.until(lambda: self.health().get("ready") is True)
        self.url = f"{self.health()['addresses']['http']}/"
        self.is_up.set()

    def _started(self) -> subprocess.Popen[bytes]:
        with self._log.open("ab") as log:
            return subprocess.Popen(
                [sys.executable, "-m", "oneiric.cli", "orchestrate", "--http-port", "0"],
                cwd=self.folder,
                env=environment({"PYTHONPATH": f"{self._path}:{ROOT}"}),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )

    async def kill(self) -> None:
        """End it at once."""
        assert self.child is not None
        self.is_up.clear()
        self.child.kill()
        await asyncio.to_thread(self.child.wait)

    async def end(self) -> int:
        """Have it end in order, and return its exit code."""
        assert self.child is not None
        self.is_up.clear()
        self.child.send_signal(signal.SIGTERM)
        return await asyncio.to_thread(self.child.wait, PATIENCE_SECONDS)

    def close(self) -> None:
        """Leave nothing running."""
        if self.child is not None and self.child.poll() is None:
            self.child.kill()
            self.child.wait()

    async def until(self, happens: Callable[[], bool]) -> None:
        """Wait until something is so, while the process is alive."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not happens():
            assert self.child is not None
            assert self.child.poll() is None, self._log.read_text()[-4_000:]
            assert time.monotonic() < deadline, self._log.read_text()[-4_000:]
            await asyncio.sleep(0.05)

    def health(self) -> dict[str, Any]:
        """Return what the process that runs now tells of itself, as far as it has."""
        found = _read(self.cache / "runtime_health.json")
        pid = self.child.pid if self.child is not None else 0
        return found if found.get("orchestrator_pid") == pid else {}

    def version(self) -> int:
        """Return the version of the manifest that was applied last."""
        sources = _read(self.cache / "remote_status.json").get("sources", {})
        found: int = sources.get("acme", {}).get("version", 0)
        return found

    async def swaps(self) -> Counter[str]:
        """Return how many swaps of tasks there were in the process that runs now, by result."""
        async with aiohttp.ClientSession() as session, session.get(f"{self.url}metrics") as found:
            text = await found.text()
        counted = re.findall(_SWAPS, text, re.MULTILINE)
        return +Counter({result: int(float(number)) for result, number in counted})

    def logged(self) -> list[dict[str, Any]]:
        """Return what was logged, and any other line as an event of its own."""
        lines = self._log.read_text().splitlines()
        said = [line for line in lines if not line.startswith(_SAID)]
        return [json.loads(line) if line[0] == "{" else {"event": line} for line in said if line]

    def troubles(self) -> dict[str, Any]:
        """Return what is wrong with the process that runs now, as it tells."""
        loops = self.health()["loops"]
        return {name: loop for name, loop in loops.items() if loop["failures"]}

    def left(self) -> int:
        """Return how many messages, events and runs are not done yet."""
        counts = [
            _rows(self.cache / "queue.sqlite", "SELECT count(*) FROM messages"),
            _rows(self.cache / "oneiric.sqlite", "SELECT count(*) FROM dead_letters"),
            _rows(self.cache / "oneiric.sqlite", "SELECT count(*) FROM runs WHERE ended_at = ''"),
        ]
        return sum(count for ((count,),) in counts)

    def runs(self) -> dict[str, str]:
        """Return the state of each run."""
        return dict(_rows(self.cache / "oneiric.sqlite", "SELECT run_id, state FROM runs"))

    def recorded(self) -> Counter[str]:
        """Return how often each run ended, and each step of it was recorded."""
        query = (
            "SELECT run_id || '/' || step, count(*) FROM events "
            "WHERE kind IN ('step-succeeded', 'run-ended') GROUP BY 1"
        )
        return Counter(dict(_rows(self.cache / "oneiric.sqlite", query)))

    def marks(self, kind: str) -> list[tuple[str, str, int]]:
        """Return what was done of a kind: on what, under which key, by which process."""
        path = self.folder / MARKS
        words = [line.split() for line in path.read_text().splitlines() if path.exists()]
        return [(on, key, int(pid)) for what, on, key, pid in words if what == kind]


def _read(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(path.read_bytes()) if path.exists() else {}
    return found


def _rows(path: Path, query: str) -> list[Any]:
    with closing(sqlite3.connect(path, timeout=30)) as connection:
        return connection.execute(query).fetchall()


@dataclass
class Traffic:
    """Whoever calls, asks, changes and publishes, each at a pace of its own, for so long."""

    orchestra: Orchestra
    seconds: float
    is_disturbed: bool = False
    """Whether connections break, as processes are killed."""
    called: dict[str, str] = field(default_factory=dict)
    """The run that each callback was answered with, by its name."""
    queued: list[str] = field(default_factory=list)
    """The runs that were put into the queue."""
    emitted: list[str] = field(default_factory=list)
    """The events."""
    wrong: list[str] = field(default_factory=list)
    """What no caller should have met."""
    counts: Counter[str] = field(default_factory=Counter)
    took: list[float] = field(default_factory=list)
    swapped: list[float] = field(default_factory=list)
    """How long callbacks and swaps took, in milliseconds."""
    vitals: list[Vitals] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._clock = SystemClock()
        self._end = time.monotonic() + self.seconds
        self._put = asyncio.Lock()

    async def run(self, *others: Callable[[Traffic], Awaitable[None]]) -> None:
        """Let it flow, and return when all that was accepted is done."""
        self._end = time.monotonic() + self.seconds
        settings = SqliteQueueSettings(path=self.orchestra.cache / "queue.sqlite")
        queue = SqliteQueue(settings)
        await queue.init()
        try:
            async with aiohttp.ClientSession() as session, asyncio.TaskGroup() as group:
                for number in range(CALLERS):
                    group.create_task(self._call(session, number))
                group.create_task(self._every(0.2, lambda: self._enqueue(queue)))
                group.create_task(self._every(0.5, self._emit))
                group.create_task(self._every(1, self._swap))
                group.create_task(self._every(5, self._save))
                group.create_task(self._every(10, self._pause))
                group.create_task(self._every(10, self._sync))
                group.create_task(self._every(1, self._look))
                for other in others:
                    group.create_task(self._also(other))
        finally:
            await queue.cleanup()
        if not self.wrong:
            await self.orchestra.until(lambda: self.orchestra.left() == 0)

    @property
    def is_over(self) -> bool:
        """Whether the time is up."""
        return time.monotonic() >= self._end

    async def _also(self, other: Callable[[Traffic], Awaitable[None]]) -> None:
        await other(self)

    async def _every(self, seconds: float, do: Callable[[], Awaitable[None]]) -> None:
        while not self.is_over:
            begun = time.monotonic()
            await do()
            await asyncio.sleep(max(0.0, begun + seconds - time.monotonic()))

    async def _call(self, session: aiohttp.ClientSession, caller: int) -> None:
        """Push one task after the other, each until it is taken, as Cloud Tasks does."""
        number = 0
        while not self.is_over:
            name, number = f"task-{caller}-{number}", number + 1
            fields = {"X-CloudTasks-TaskName": name, "X-CloudTasks-QueueName": "traffic"}
            deadline = time.monotonic() + PATIENCE_SECONDS
            while not await self._pushed(session, name, fields):
                if time.monotonic() > deadline:
                    self.wrong.append(f"{name} was never taken")
                    break
                await asyncio.sleep(0.2)
            await asyncio.sleep(PACE_SECONDS)

    async def _pushed(
        self, session: aiohttp.ClientSession, name: str, fields: dict[str, str]
    ) -> bool:
        """Push a task once, and tell whether that is over."""
        begun, body = time.monotonic(), {"workflow": "traffic", "context": {"name": name}}
        try:
            async with session.post(
                f"{self.orchestra.url}tasks/workflow", json=body, headers=fields
            ) as response:
                told = await response.json()
        except (aiohttp.ClientError, OSError) as error:
            self.counts["broken connections"] += 1
            if not self.is_disturbed:
                self.wrong.append(f"{name}: {error!r}")
            return False
        if response.status == 503:
            code = told["error"]["code"]
            self.counts[f"answers of {code}"] += 1
            if code != "paused" and not self.is_disturbed:
                self.wrong.append(f"{name}: {told}")
            return False
        if response.status != 200 or told["state"] != "succeeded":
            self.wrong.append(f"{name}: {response.status} {told}")
        else:
            self.called[name] = told["run_id"]
            self.took.append((time.monotonic() - begun) * 1000)
        return True

    async def _enqueue(self, queue: SqliteQueue) -> None:
        run_id = self._clock.new_id()
        message = WorkMessage("workflow", "traffic", run_id, {"name": run_id})
        await queue.enqueue(message.as_json(), dedup_id=run_id)
        self.queued.append(run_id)

    async def _emit(self) -> None:
        """Emit an event; one that meets a pause is kept until its end."""
        if told := await self._ask("event-emit", {"topic": TOPIC, "payload": {}}):
            self.emitted.append(str(told["id"]))

    async def _swap(self) -> None:
        provider = ("one", "other")[self.counts["swaps"] % 2]
        begun = time.monotonic()
        if await self._ask("swap", {"ref": MARK, "provider": provider}):
            self.counts["swaps"] += 1
            self.swapped.append((time.monotonic() - begun) * 1000)

    async def _save(self) -> None:
        self.orchestra.save_no += 1
        self.orchestra.configure()
        self.counts["saves"] += 1

    async def _pause(self) -> None:
        """Pause the workflow and the handler for two seconds."""
        for verb in ("pause", "resume"):
            for ref in (WORKFLOW, EAR):
                await self._insist(verb, {"ref": ref})
            await asyncio.sleep(2 if verb == "pause" else 0)
        self.counts["pauses"] += 1

    async def _sync(self) -> None:
        """Publish another version, have the sources looked at, and wait for it."""
        orchestra = self.orchestra
        orchestra.publish()
        self.counts["versions"] += 1
        await orchestra.is_up.wait()
        assert orchestra.child is not None
        if self.counts["versions"] % 2:
            orchestra.child.send_signal(signal.SIGHUP)
        else:
            await self._ask("remote-sync", {})
        if not self.is_disturbed:
            await orchestra.until(lambda: orchestra.version() == self.counts["versions"] + 1)

    async def _insist(self, verb: str, asked: dict[str, JSONValue]) -> None:
        while True:
            if await self._ask(verb, asked):
                return
            await asyncio.sleep(0.2)

    async def _ask(self, verb: str, asked: dict[str, JSONValue]) -> Any:
        """Have the orchestrator do something, and return its answer; None while there is none."""
        path = self.orchestra.cache / "control.sock"
        try:
            answer = await asyncio.to_thread(Live(ControlClient(path), View).ask, verb, asked)
        except UnavailableError as error:
            if not self.is_disturbed:
                self.wrong.append(f"{verb}: {error}")
            return None
        results = answer.document.get("results", ())
        if answer.exit_code and "deferred" not in str(results):
            self.wrong.append(f"{verb}: {answer.text}")
        return answer.document

    async def _look(self) -> None:
        child = self.orchestra.child
        found = Vitals.of(child.pid) if child is not None else None
        if found is not None:
            self.vitals.append(found)

    def figures(self) -> dict[str, object]:
        """Return what is to be told."""
        done = len(self.called) + len(self.queued)
        return {
            "callbacks": len(self.called),
            "queued runs": len(self.queued),
            "events": len(self.emitted),
            **self.counts,
            "runs a second": round(done / self.seconds, 1),
            **_quantiles("a callback", self.took),
            **_quantiles("a swap", self.swapped),
        }

    def check(self) -> None:
        """Pass if every caller was served, and everything that was accepted done once."""
        orchestra, asked = self.orchestra, {*self.called.values(), *self.queued}
        assert not self.wrong, self.wrong[:3]
        assert len(asked) == len(self.called) + len(self.queued)
        assert orchestra.runs() == dict.fromkeys(asked, "succeeded")
        once = {f"{run_id}/{step}": 1 for run_id in asked for step in (*STEPS, "")}
        assert orchestra.recorded() == Counter(once)
        done = orchestra.marks("step")
        assert {on for on, _, _ in done} == {each for each in once if each[-1] != "/"}
        assert len({(on, key) for on, key, _ in done}) == len(asked) * len(STEPS)
        heard = Counter(on for on, _, _ in orchestra.marks("event"))
        assert set(heard) >= set(self.emitted)
        assert self.is_disturbed or set(heard) == set(self.emitted)
        assert orchestra.version() == self.counts["versions"] + 1


def _quantiles(name: str, took: list[float]) -> dict[str, float]:
    ranked = sorted(took)
    shares = {"p50": 0.5, "p99": 0.99}
    return {
        f"ms {name} {told}": round(ranked[int(len(ranked) * share)], 1)
        for told, share in shares.items()
    }


@asynccontextmanager
async def orchestra(folder: Path, *, lease: float) -> AsyncIterator[Orchestra]:
    """Give an orchestrator that is ready, and leave nothing of it."""
    with ManifestSimulator("acme", clock=SystemClock(), factories=["tests"]) as site:
        found = Orchestra(folder, site, lease=lease)
        try:
            await found.begin()
            yield found
        finally:
            with suppress(ProcessLookupError):
                found.close()
