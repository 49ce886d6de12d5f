"""A part of a whole that only some programs need."""

from __future__ import annotations

from typing import Generic, Self, TypeVar, cast, overload

from oneiric.targets import load

OWN = ("oneiric",)
P = TypeVar("P")


class Part(Generic[P]):
    """Make a part of a whole when it is first asked for, and keep it.

    What makes it is named by text and is called with the whole, so a program that never asks
    imports none of it.
    """

    __slots__ = ("_maker", "_name")

    def __init__(self, maker: str) -> None:
        self._maker = maker

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name

    @overload
    def __get__(self, whole: None, owner: type) -> Self: ...
    @overload
    def __get__(self, whole: object, owner: type) -> P: ...
    def __get__(self, whole: object, owner: type) -> Self | P:
        """Return the part; the same to everybody, whichever thread asks first."""
        if whole is None:
            return self
        made = load(self._maker, OWN)(whole)
        return cast("P", vars(whole).setdefault(self._name, made))
