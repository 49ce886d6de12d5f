"""What a program says: masked, told line by line, and the last of it kept."""

from oneiric.ports.executor import OutputCallback, StreamName
from oneiric.text.masking import Masking

_SLACK = 64 * 1024


class Output:
    """One stream of a program. No more of it is held than is kept, and one line."""

    def __init__(
        self,
        name: StreamName,
        masking: Masking,
        *,
        keep: int,
        line: int,
        tell: OutputCallback | None,
    ) -> None:
        self._name = name
        self._stream = masking.stream()
        self._keep = keep
        self._longest = line
        self._tell = tell
        self._kept = bytearray()
        self._line = b""
        self._dropped = 0

    def feed(self, data: bytes) -> None:
        """Take what was read."""
        self._take(self._stream.feed(data))

    def end(self) -> None:
        """Tell the last line, for there is no more to come."""
        self._take(self._stream.end())
        if self._tell is not None:
            self._line = self._say(self._tell, self._line)

    def mute(self) -> None:
        """Tell no more lines."""
        self._tell = None

    def kept(self) -> tuple[bytes, int]:
        """Return the last of what was said, and the number of bytes before it."""
        self._drop()
        return bytes(self._kept), self._dropped

    def _take(self, data: bytes) -> None:
        self._kept += data
        if len(self._kept) > 2 * self._keep + _SLACK:
            self._drop()
        if self._tell is not None:
            *lines, rest = (self._line + data).split(b"\n")
            for line in lines:
                self._say(self._tell, line + b"\n")
            self._line = self._say(self._tell, rest, short=self._longest)

    def _say(self, tell: OutputCallback, line: bytes, *, short: int = 0) -> bytes:
        """Tell *line* in pieces that are not too long, and return what is left of it."""
        while len(line) > short:
            tell(self._name, line[: self._longest])
            line = line[self._longest :]
        return line

    def _drop(self) -> None:
        much = max(0, len(self._kept) - self._keep)
        del self._kept[:much]
        self._dropped += much
