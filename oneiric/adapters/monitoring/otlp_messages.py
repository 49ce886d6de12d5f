"""Spans and series as the messages of OTLP."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby

from google.protobuf.message import DecodeError  # type: ignore[import-untyped]  # it has none
from importlib_metadata import version
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
    ExportMetricsServiceResponse,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, InstrumentationScope, KeyValue
from opentelemetry.proto.metrics.v1 import metrics_pb2 as metrics_v1
from opentelemetry.proto.resource.v1.resource_pb2 import Resource
from opentelemetry.proto.trace.v1 import trace_pb2 as trace_v1

from oneiric.metrics import Distribution, Metric, Series
from oneiric.text.tracing import Span

_CUMULATIVE = metrics_v1.AGGREGATION_TEMPORALITY_CUMULATIVE
_SERVED = "http"


class Messages:
    """Make requests of the collector's services, and read what they answer.

    Args:
        resource: who sends them.
    """

    def __init__(self, resource: Mapping[str, str | int]) -> None:
        self._resource = Resource(attributes=list(_attributes(resource)))
        self._scope = InstrumentationScope(name="oneiric", version=version("oneiric"))

    def traces(self, spans: Sequence[Span]) -> bytes:
        """Return a request with *spans*."""
        scope = trace_v1.ScopeSpans(scope=self._scope, spans=[_span(span) for span in spans])
        found = trace_v1.ResourceSpans(resource=self._resource, scope_spans=[scope])
        return bytes(ExportTraceServiceRequest(resource_spans=[found]).SerializeToString())

    def metrics(self, series: Sequence[Series], now_ns: int) -> bytes:
        """Return a request with *series* as they are at a moment."""
        began = next((s.value for s in series if s.metric.name == "process_start_time_seconds"), 0)
        start = int(began * 1e9) if isinstance(began, int | float) else 0
        found = [
            _metric(metric, list(those), start, now_ns)
            for metric, those in groupby(series, key=lambda each: each.metric)
        ]
        scope = metrics_v1.ScopeMetrics(scope=self._scope, metrics=found)
        sent = metrics_v1.ResourceMetrics(resource=self._resource, scope_metrics=[scope])
        return bytes(ExportMetricsServiceRequest(resource_metrics=[sent]).SerializeToString())

    @staticmethod
    def refused_spans(content: bytes) -> str:
        """Return why an answer says that not all spans were taken; empty where it does not."""
        try:
            partial = ExportTraceServiceResponse.FromString(content).partial_success
        except DecodeError:
            return ""  # it answered 200, and what it says beyond that is its own affair
        return _refusal(partial.rejected_spans, "spans", partial.error_message)

    @staticmethod
    def refused_points(content: bytes) -> str:
        """Return why an answer says that not all metrics were taken; empty where it does not."""
        try:
            partial = ExportMetricsServiceResponse.FromString(content).partial_success
        except DecodeError:
            return ""
        return _refusal(partial.rejected_data_points, "data points", partial.error_message)


def _refusal(count: int, what: str, reason: str) -> str:
    return f"refused {count} {what}: {reason[:200]}" if count else ""


def _span(span: Span) -> trace_v1.Span:
    failed = trace_v1.Status(code=trace_v1.Status.STATUS_CODE_ERROR, message=span.error)
    is_served = span.name == _SERVED
    return trace_v1.Span(
        name=span.name,
        trace_id=bytes.fromhex(span.trace.trace_id),
        span_id=bytes.fromhex(span.trace.span_id),
        parent_span_id=bytes.fromhex(span.parent_id),
        kind=trace_v1.Span.SPAN_KIND_SERVER if is_served else trace_v1.Span.SPAN_KIND_INTERNAL,
        start_time_unix_nano=span.start_ns,
        end_time_unix_nano=span.end_ns,
        attributes=list(_attributes(span.attributes)),
        status=failed if span.error else None,
    )


def _metric(metric: Metric, series: Sequence[Series], start: int, now: int) -> metrics_v1.Metric:
    found = metrics_v1.Metric(
        name=metric.name, description=metric.help, unit="s" if metric.unit else "1"
    )
    if metric.kind == "histogram":
        points = [_distribution(each, start, now) for each in series]
        found.histogram.data_points.extend(points)
        found.histogram.aggregation_temporality = _CUMULATIVE
        return found
    numbers = [_number(each, start, now) for each in series]
    if metric.kind == "gauge":
        found.gauge.data_points.extend(numbers)
    else:
        found.sum.data_points.extend(numbers)
        found.sum.aggregation_temporality = _CUMULATIVE
        found.sum.is_monotonic = True
    return found


def _number(series: Series, start: int, now: int) -> metrics_v1.NumberDataPoint:
    assert not isinstance(series.value, Distribution)
    return metrics_v1.NumberDataPoint(
        attributes=list(_attributes(series.labels)),
        start_time_unix_nano=start if series.metric.kind == "counter" else 0,
        time_unix_nano=now,
        as_double=series.value,
    )


def _distribution(series: Series, start: int, now: int) -> metrics_v1.HistogramDataPoint:
    assert isinstance(series.value, Distribution)
    return metrics_v1.HistogramDataPoint(
        attributes=list(_attributes(series.labels)),
        start_time_unix_nano=start,
        time_unix_nano=now,
        count=series.value.samples,
        sum=series.value.sum,
        bucket_counts=series.value.counts,
        explicit_bounds=series.metric.buckets,
    )


def _attributes(values: Mapping[str, str | int | float | bool]) -> Iterator[KeyValue]:
    for name, value in values.items():
        if isinstance(value, bool):
            kept = AnyValue(bool_value=value)
        elif isinstance(value, int):
            kept = AnyValue(int_value=value)
        elif isinstance(value, float):
            kept = AnyValue(double_value=value)
        else:
            kept = AnyValue(string_value=value)
        yield KeyValue(key=name, value=kept)
