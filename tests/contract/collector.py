"""A collector of OTLP over HTTP on loopback: it decodes what arrives and keeps it as plain data."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
    ExportMetricsServiceResponse,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)

from tests.contract.chat import TOKEN

PROTOBUF = "application/x-protobuf"


@dataclass(slots=True)
class Collector:
    """What arrived, what was wrong with it, and what to answer next instead of the truth."""

    port: int = 0
    resources: list[dict[str, Any]] = field(default_factory=list)
    spans: list[Any] = field(default_factory=list)
    metrics: list[dict[str, Any]] = field(default_factory=list)
    requests: int = 0
    fields: list[dict[str, str]] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    answers: list[web.Response] = field(default_factory=list)
    stop: Callable[[], Awaitable[None]] = field(init=False)

    def app(self) -> web.Application:
        """Return the two services under one roof."""
        app = web.Application(client_max_size=10_000_000)
        app.router.add_post("/v1/traces", self._traces)
        app.router.add_post("/v1/metrics", self._metrics)
        app.router.add_route("HEAD", "/", self._here)
        return app

    async def _here(self, request: web.Request) -> web.Response:
        return web.Response(status=404)

    def _check(self, request: web.Request) -> web.Response | None:
        self.requests += 1
        self.fields.append({name.lower(): text for name, text in request.headers.items()})
        if request.content_type != PROTOBUF:
            self.problems.append(f"it is {request.content_type}")
        if request.headers.get("x-api-key") != TOKEN:
            self.problems.append("the key is missing")
        return self.answers.pop(0) if self.answers else None

    async def _traces(self, request: web.Request) -> web.Response:
        content = await request.read()
        if (answer := self._check(request)) is not None:
            return answer
        for resource in ExportTraceServiceRequest.FromString(content).resource_spans:
            self.resources.append(plain(resource.resource.attributes))
            for scope in resource.scope_spans:
                self.spans += scope.spans
                self.problems += [p for span in scope.spans for p in span_problems(span)]
        return took(ExportTraceServiceResponse())

    async def _metrics(self, request: web.Request) -> web.Response:
        content = await request.read()
        if (answer := self._check(request)) is not None:
            return answer
        for resource in ExportMetricsServiceRequest.FromString(content).resource_metrics:
            self.resources.append(plain(resource.resource.attributes))
            found = {each.name: each for scope in resource.scope_metrics for each in scope.metrics}
            self.metrics.append(found)
            count = sum(len(scope.metrics) for scope in resource.scope_metrics)
            if len(found) != count:
                self.problems.append("a metric comes twice")
        return took(ExportMetricsServiceResponse())


def took(answer: Any) -> web.Response:
    """Return an answer of 200."""
    return web.Response(body=answer.SerializeToString(), content_type=PROTOBUF)


def partly(rejected: int) -> web.Response:
    """Return an answer that took only a part."""
    answer = ExportTraceServiceResponse()
    answer.partial_success.rejected_spans = rejected
    answer.partial_success.error_message = "too old"
    return took(answer)


def plain(attributes: Any) -> dict[str, Any]:
    """Return attributes as a table."""
    return {each.key: getattr(each.value, each.value.WhichOneof("value")) for each in attributes}


def points(metric: Any) -> dict[tuple[str, ...], Any]:
    """Return the points of a metric by the values of their attributes."""
    found = getattr(metric, metric.WhichOneof("data")).data_points
    return {tuple(plain(each.attributes).values()): each for each in found}


def span_problems(span: Any) -> list[str]:
    """Return what is wrong with a span by the protocol."""
    problems = []
    if len(span.trace_id) != 16 or not any(span.trace_id):
        problems.append("no trace id")
    if len(span.span_id) != 8 or not any(span.span_id):
        problems.append("no span id")
    if len(span.parent_span_id) not in (0, 8):
        problems.append("a parent id of another length")
    if not 0 < span.start_time_unix_nano <= span.end_time_unix_nano:
        problems.append("it ends before it begins")
    return problems
