"""The control interface against its own description: whatever is asked, the answer is as told."""

from __future__ import annotations

import json
from functools import cache
from typing import TYPE_CHECKING, Any

import pytest
import requests
import schemathesis
import urllib3
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from requests.adapters import HTTPAdapter
from schemathesis import GenerationMode
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    negative_data_rejection,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from oneiric.web.control.openapi import openapi
from oneiric.web.control.protocol import VERBS

if TYPE_CHECKING:
    from tests.control.house import House

EXAMPLES = 15
ASKED = [
    (name, mode)
    for name, verb in sorted(VERBS.items())
    for mode in GenerationMode
    if mode is GenerationMode.POSITIVE or verb.asks.model_fields or not verb.reads
    if name != "stop"
]
"""Verbs that leave somebody to be asked, with what is right and, where that can be, wrong."""

CHECKS = [
    content_type_conformance,
    negative_data_rejection,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
]


@cache
def _operations() -> dict[str, Any]:
    schema = schemathesis.openapi.from_dict(openapi())
    found: list[Any] = [result.ok() for result in schema.get_all_operations()]  # type: ignore[union-attr]
    return {operation.path.rpartition("/")[2]: operation for operation in found}


class _Connection(urllib3.connection.HTTPConnection):
    """A connection to the socket of a house, whatever the host."""

    house: House

    def connect(self) -> None:
        """Connect."""
        self.sock = self.house.connected()


class _Adapter(HTTPAdapter):
    """Ask a house."""

    def __init__(self, house: House) -> None:
        super().__init__()
        kind = type("_Here", (_Connection,), {"house": house})
        self._pool = urllib3.HTTPConnectionPool("localhost", maxsize=1)
        self._pool.ConnectionCls = kind

    def get_connection_with_tls_context(self, *_: Any, **__: Any) -> Any:
        """Return the pool of the house."""
        return self._pool


def test_the_description_is_valid() -> None:
    """Every verb is an operation that the reader of OpenAPI understands."""
    assert _operations().keys() == VERBS.keys()


@pytest.mark.parametrize(("verb", "mode"), ASKED)
def test_whatever_is_asked_the_answer_is_as_told(
    shared: House, verb: str, mode: GenerationMode
) -> None:
    """Documents and errors have their shape, what is described as wrong is refused, and no bug."""
    operation = _operations()[verb]
    with requests.Session() as session:
        session.mount("http://", _Adapter(shared))

        @settings(
            derandomize=True,  # so that a run says the same twice
            max_examples=EXAMPLES,
            deadline=None,
            database=None,
            suppress_health_check=list(HealthCheck),
        )
        @given(case=st.deferred(lambda: operation.as_strategy(generation_mode=mode)))
        def ask(case: Any) -> None:
            response = case.call(base_url="http://localhost", session=session, timeout=60)
            case.validate_response(response, checks=CHECKS)
            if response.status_code >= 400:
                assert json.loads(response.content)["error"]["code"] != "bug"

        ask()
