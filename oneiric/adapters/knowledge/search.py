"""Find rows by words, and say how relevant each is."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from oneiric.adapters.knowledge.transaction import Transaction

MOST_WORDS = 16
LOOSE_FROM, LOOSE_WORTH = 8, 0.5
COVERED = 0.9
_WORD = re.compile(r"\w+")
_COMMON = frozenset(
    _WORD.findall(
        "a an and are as at be by did do does for from had has have how in is it its of on or our "
        "that the their this to was we were what when where which who why will with you your"
    )
)


def words_of(query: str) -> list[str]:
    """Return the words to look for: each once, common ones only where there are no others.

    >>> words_of("Why was the deployment of the API slow?")
    ['deployment', 'api', 'slow']
    >>> words_of("To be")
    ['to', 'be']
    """
    words = list(dict.fromkeys(found.lower() for found in _WORD.findall(query)))
    return [each for each in words if each not in _COMMON][:MOST_WORDS] or words[:MOST_WORDS]


def found_by_words(
    transaction: Transaction, statement: str, values: Mapping[str, object], query: str
) -> list[tuple[int, float]]:
    """Return the numbers of rows that hold words of *query*, with the relevance of each.

    *statement* gives a number and a rank for `:word`. How many of the words are there counts
    most, one of which only the family is there for half; among rows that hold as many, those that
    hold rare ones more often come first.
    """
    words = words_of(query)
    held: dict[int, float] = {}
    weight: dict[int, float] = {}
    for word in words:
        here: dict[int, float] = {}
        for form, worth in _forms(word):
            for number, rank in transaction.rows(statement, {**values, "word": form}):
                here.setdefault(number, worth)
                weight[number] = weight.get(number, 0.0) - rank * worth
        for number, worth in here.items():
            held[number] = held.get(number, 0.0) + worth
    most = max(weight.values(), default=0.0) or 1.0
    found = [
        (number, COVERED * count / len(words) + (1 - COVERED) * max(0.0, weight[number]) / most)
        for number, count in held.items()
    ]
    found.sort(key=lambda each: (-each[1], -each[0]))
    return [(number, round(relevance, 4)) for number, relevance in found]


def _forms(word: str) -> Iterator[tuple[str, float]]:
    """Yield the word itself, and what other words of its family begin with, which is worth less."""
    yield f'"{word}"', 1.0
    if len(word) >= LOOSE_FROM:
        yield f'"{word[: len(word) // 2]}"*', LOOSE_WORTH
