"""`workflow.retry`: whether to try again, and when."""

from __future__ import annotations

from random import SystemRandom
from typing import ClassVar, Literal, Self

from pydantic import BaseModel, Field, model_validator

from oneiric.actions.kit import Payload, Result
from oneiric.backoff import Backoff


class RetryPayload(Payload):
    """The attempt that has just failed, counted from 1, and the policy.

    `jitter` is the share of the delay that chance may take away.
    """

    attempt: int = Field(ge=1)
    max_attempts: int = Field(default=3, ge=1)
    base_delay_seconds: float = Field(default=1.0, ge=0, allow_inf_nan=False)
    multiplier: float = Field(default=2.0, ge=1, allow_inf_nan=False)
    max_delay_seconds: float = Field(default=60.0, ge=0, allow_inf_nan=False)
    jitter: float = Field(default=0.0, ge=0, le=1)

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.base_delay_seconds > self.max_delay_seconds:
            raise ValueError("base_delay_seconds exceeds max_delay_seconds")
        return self


class RetryResult(Result):
    """The next attempt and the seconds until it; both null when there is none."""

    status: Literal["scheduled", "exhausted"]
    next_attempt: int | None = None
    delay_seconds: float | None = None


class WorkflowRetry:
    """Compute the delay before the next attempt: exponential, bounded, with jitter."""

    payload: ClassVar[type[BaseModel]] = RetryPayload
    result: ClassVar[type[BaseModel]] = RetryResult

    def __init__(self) -> None:
        self._chance = SystemRandom()

    def execute(self, payload: RetryPayload) -> RetryResult:
        """Compute it."""
        if payload.attempt >= payload.max_attempts:
            return RetryResult(status="exhausted")
        backoff = Backoff(
            base_seconds=payload.base_delay_seconds,
            factor=payload.multiplier,
            max_seconds=payload.max_delay_seconds,
            jitter=payload.jitter,
        )
        delay = backoff.delay(payload.attempt, chance=self._chance.random())
        return RetryResult(
            status="scheduled", next_attempt=payload.attempt + 1, delay_seconds=delay
        )
