"""Sync again and again, and say after each sync which version serves, until killed."""

import asyncio
import sys
from pathlib import Path

from oneiric.clock import SystemClock
from tests.remote.sites import codes, runtime_in


def tell(*words: object) -> None:
    """Say it in one line, at once."""
    sys.stdout.write(f"{' '.join(map(str, words))}\n")
    sys.stdout.flush()


async def main(folder: Path) -> None:
    """Sync the sources that are configured in *folder*."""
    async with runtime_in(folder, SystemClock()) as runtime:
        tell("ready")
        while True:
            report = await runtime.sync_remote()
            version = report.sources[0].serving.version if report.sources[0].serving else 0
            tell("applied", version, *codes(report))


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1])))
