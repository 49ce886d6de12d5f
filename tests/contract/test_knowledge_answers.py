"""Whatever bytes come back, they are a document or an error of the port."""

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from oneiric.adapters.knowledge.snipara_answers import Answers
from oneiric.ports import AdapterError, Headers, HTTPResponse
from oneiric.text.masking import Masking
from oneiric.text.printable import printable

KEY = "snp-hunter2-of-the-tests"
ANSWERS = Answers("http://127.0.0.1", Masking([KEY]))
NAMES = (
    *("jsonrpc", "id", "result", "error", "code", "message", "content", "text"),
    *("isError", "success", "structuredContent", "current_version"),
)
single = (
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9) | st.just(KEY)
)
values = st.recursive(
    single,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(NAMES),
            inner,
            max_size=5,
        )
    ),
    max_leaves=12,
)
envelopes = st.builds(
    lambda content, more: {"jsonrpc": "2.0", "id": 1, "result": {"content": content}, **more},
    st.lists(st.builds(lambda value: {"text": json.dumps(value)}, values) | values, max_size=2),
    st.dictionaries(st.sampled_from(["id", "error", "result"]), values, max_size=2),
)
contents = (
    st.binary(max_size=200)
    | (values | envelopes).map(lambda value: json.dumps(value).encode())
    | (values | envelopes).map(lambda value: b"data: " + json.dumps(value).encode() + b"\n\n")
)


def read(content: bytes, kind: str) -> Any:
    answer = HTTPResponse(200, Headers([("Content-Type", kind)]), content)
    return ANSWERS.document(ANSWERS.result(answer, 1))


@given(contents, st.sampled_from(["application/json", "text/event-stream", "text/html", ""]))
def test_any_answer_is_a_document_or_an_error_that_shows_no_key(content: bytes, kind: str) -> None:
    """For any bytes of any type, most of them nearly what the service sends."""
    refusal: AdapterError | None = None
    found: Any = {}
    try:
        found = read(content, kind)
    except AdapterError as error:
        refusal = error
    shown = (refusal.render(), repr(refusal), str(refusal.details())) if refusal else ()

    assert KEY not in "".join(shown)
    assert refusal is None or printable(refusal.message) == refusal.message
    assert isinstance(found, dict)
    assert found.get("success") is not False
