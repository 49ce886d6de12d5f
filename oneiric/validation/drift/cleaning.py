"""Keep secrets out of what is told, whoever put them there: the question or production."""

from __future__ import annotations

from dataclasses import replace

from oneiric.errors import JSONValue
from oneiric.ports.drift import DriftItem, Unchecked
from oneiric.text.masking import Masking
from oneiric.text.redaction import redacted
from oneiric.validation.drift.question import DriftQuestion
from oneiric.validation.texts import with_texts

_SHORTEST = 6
"""Characters from which on a secret of the question is masked wherever it occurs."""


class Cleaner:
    """Mask the secrets of a question, and what looks like one.

    >>> from pydantic import SecretStr
    >>> cleaner = Cleaner(DriftQuestion(headers={"X-Key": SecretStr("hunter22")}))
    >>> cleaner.text("hunter22 at /x?token=abc")
    '********** at /x?token=**********'
    """

    def __init__(self, question: DriftQuestion) -> None:
        secrets = [*question.headers.values(), question.database.url]
        secrets += question.app.env.values() if question.app is not None else ()
        told = [each.get_secret_value() for each in secrets if each is not None]
        words = [word for text in told for word in (text, *text.split())]
        self._masking = Masking([word for word in words if len(word) >= _SHORTEST])

    def text(self, text: str) -> str:
        """Return *text* without secrets."""
        return str(redacted(self._masking.text(text)))

    def value(self, value: JSONValue) -> JSONValue:
        """Return *value* without secrets in its texts, keys included."""
        return with_texts(value, self.text)

    def item(self, item: DriftItem) -> DriftItem:
        """Return *item* without secrets."""
        return replace(
            item,
            place=self.text(item.place),
            message=self.text(item.message),
            hint=self.text(item.hint),
            facts={name: self.value(value) for name, value in item.facts.items()},
        )

    def unchecked(self, unchecked: Unchecked) -> Unchecked:
        """Return *unchecked* without secrets."""
        return replace(
            unchecked,
            place=self.text(unchecked.place),
            reason=self.text(unchecked.reason),
            hint=self.text(unchecked.hint),
        )
