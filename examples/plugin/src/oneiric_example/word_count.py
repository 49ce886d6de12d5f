"""A task: a payload in, a JSON value out."""

import re
from collections import Counter
from collections.abc import Mapping

from oneiric import JSONValue, OneiricError

_WORD = re.compile(r"\w+(?:['\u2019]\w+)*")


class NoTextError(OneiricError):
    """The payload has no text to count in. Every error raised on purpose has a code."""

    code = "no-text"
    exit_code = 2


class WordCount:
    """Count the words of a text."""

    async def run(self, payload: Mapping[str, JSONValue]) -> dict[str, JSONValue]:
        """Return `{"words", "different", "most_common": [[word, times], …]}` for `{"text"}`.

        Raises:
            NoTextError: the payload has no text.
        """
        text = payload.get("text")
        if not isinstance(text, str):
            raise NoTextError("word-count needs a payload with a text")
        counts = Counter(word.lower() for word in _WORD.findall(text))
        ranked = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
        return {
            "words": counts.total(),
            "different": len(counts),
            "most_common": [[word, times] for word, times in ranked[:10]],
        }
