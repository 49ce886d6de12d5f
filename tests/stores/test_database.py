"""A database that several begin with at the same time."""

import threading
from pathlib import Path

from oneiric.stores.database import open_writer, writing
from oneiric.stores.migrations import STATE


def test_who_writes_ahead_waits_for_who_made_the_file(tmp_path: Path) -> None:
    """A callback that came with the first swap of a folder was told that the file is locked."""
    path, is_held, go = tmp_path / "oneiric.sqlite", threading.Event(), threading.Event()

    def hold() -> None:
        with writing(path, STATE):
            is_held.set()
            go.wait(30)

    holder = threading.Thread(target=hold)
    holder.start()
    is_held.wait(30)
    threading.Timer(0.3, go.set).start()
    connection = open_writer(path, STATE, "FULL")
    (mode,) = connection.execute("PRAGMA journal_mode").fetchone()
    connection.close()
    holder.join()

    assert mode == "wal"
