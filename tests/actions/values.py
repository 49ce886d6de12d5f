"""JSON values, and values with secrets in them, for laws over any."""

from typing import Any

from hypothesis import strategies as st

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(min_value=-(2**53) + 1, max_value=2**53 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | TEXT
)
VALUES: st.SearchStrategy[Any] = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=20,
)
RECORDS = st.dictionaries(TEXT, VALUES, max_size=5)

SECRET = "hunter2-S3CRET"
NAMES = st.sampled_from(
    [
        "Password",
        "api_key",
        "authToken",
        "API-KEY",
        "client_secret",
        "dbPasswd",
        "Set-Cookie",
        "Authorization",
        "accessKey",
        "privateKey",
        "PASSPHRASE",
        "userPwd",
        "credentials",
    ]
)


def _hidden(names: st.SearchStrategy[str]) -> st.SearchStrategy[Any]:
    """Give records that hold the secret below one of *names*, at any depth and in any shape."""
    secrets = st.recursive(
        st.just(SECRET) | st.just(f"x {SECRET} y"),
        lambda inner: (
            st.lists(inner, min_size=1, max_size=3)
            | st.dictionaries(TEXT, inner, min_size=1, max_size=3)
        ),
        max_leaves=4,
    )
    leaf = st.dictionaries(names, secrets, min_size=1, max_size=2)
    return st.recursive(
        leaf,
        lambda inner: st.dictionaries(TEXT, inner | st.lists(inner, max_size=3), max_size=3),
        max_leaves=6,
    )


HIDDEN = _hidden(NAMES)
OWN_NAMES = ("card_number", "Mother's maiden name")
HIDDEN_BY_OWN_NAME = _hidden(
    st.sampled_from(["cardNumber", "CARD-NUMBER", "card number", "mothers_maiden_name"])
)
