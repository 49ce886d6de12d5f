"""Spans and metrics for a collector that speaks OTLP over HTTP.

The library is imported with the first export, not before.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, ClassVar

from importlib_metadata import version
from pydantic import AfterValidator, Field, SecretStr

from oneiric.adapters.messaging.post import Parcel, Post, PostSettings
from oneiric.clock import Clock
from oneiric.core.handle import Link
from oneiric.core.health import HealthReport
from oneiric.documents.model import refused
from oneiric.metrics import Series
from oneiric.ports.errors import AdapterError, DependencyMissingError
from oneiric.ports.http import HTTPClient, HTTPResponse, origin
from oneiric.remote.errors import AddressError
from oneiric.remote.origin import Origin
from oneiric.text.tracing import Span

if TYPE_CHECKING:
    from oneiric.adapters.monitoring.otlp_messages import Messages

EXTRA = "otel-otlp"
PROTOBUF = "application/x-protobuf"


def _checked(url: str) -> str:
    try:
        Origin.of(url)
    except AddressError as error:
        raise refused(error.message) from None
    return url


class OtelOtlpMonitorSettings(PostSettings):
    """Name the collector, what is sent in its header fields, and who we are to it."""

    endpoint: Annotated[str, AfterValidator(_checked)] = "http://localhost:4318"
    headers: Mapping[str, SecretStr] = Field(default_factory=dict)
    service_name: str = Field(default="oneiric", min_length=1)
    resource: Mapping[str, str] = Field(default_factory=dict)


class OtelOtlpMonitor:
    """Post spans to `/v1/traces` and metrics to `/v1/metrics` of a collector, as protobuf.

    Counters and histograms are cumulative since the process began. What the collector takes
    only in part is an error that says how much. Through gRPC nothing is sent.

    Source: OpenTelemetry Protocol, OTLP/HTTP.
    """

    capabilities: ClassVar[frozenset[str]] = frozenset({"traces", "metrics", "otlp"})

    def __init__(
        self,
        settings: OtelOtlpMonitorSettings,
        *,
        http: Link[HTTPClient],
        clock: Clock | None = None,
    ) -> None:
        self._settings = settings
        self._post = Post(settings, http, clock)
        self._messages: Messages | None = None
        self._refusal = ""

    async def init(self) -> None:
        """Load the library.

        Raises:
            DependencyMissingError: it is not installed.
        """
        self._messages = self._loaded()

    async def health(self) -> HealthReport:
        """Tell whether the collector answers, and took what it was sent last."""
        report = await self._post.reach(self._settings.endpoint)
        if report.healthy and self._refusal:
            return HealthReport(healthy=False, detail=self._refusal)
        return report

    async def cleanup(self) -> None:
        """Let go of the library; the HTTP client closes itself."""
        self._messages = None

    async def export_spans(self, spans: Sequence[Span]) -> None:
        """Post them, unless there are none."""
        if spans:
            found = self._loaded()
            await self._send("/v1/traces", found.traces(spans), found.refused_spans)

    async def export_metrics(self, series: Sequence[Series]) -> None:
        """Post them, unless there are none."""
        if series:
            found, now = self._loaded(), int(self._post.clock.now().timestamp() * 1e9)
            await self._send("/v1/metrics", found.metrics(series, now), found.refused_points)

    async def _send(self, path: str, body: bytes, refused_of: Callable[[bytes], str]) -> None:
        told = {name: text.get_secret_value() for name, text in self._settings.headers.items()}
        parcel = Parcel({**told, "Content-Type": PROTOBUF}, body)
        url = self._settings.endpoint.rstrip("/") + path

        def understood(answer: HTTPResponse) -> None:
            if refusal := refused_of(answer.content):
                raise AdapterError(origin(url), refusal)

        try:
            await self._post.deliver("POST", url, lambda: parcel, understood)
        except AdapterError as error:
            self._refusal = "" if error.retryable else error.message
            raise
        self._refusal = ""

    def _loaded(self) -> Messages:
        if self._messages is not None:
            return self._messages
        try:
            from oneiric.adapters.monitoring.otlp_messages import Messages
        except ImportError as error:
            raise DependencyMissingError("otlp", extra=EXTRA) from error
        own: dict[str, str | int] = {
            "service.name": self._settings.service_name,
            "service.version": version("oneiric"),
            "process.pid": os.getpid(),
        }
        return Messages({**own, **self._settings.resource})
