"""Profiles: what is built in."""

import pytest

from oneiric.config.profiles import PROFILES, built_in
from oneiric.errors import ConfigError


def test_the_built_in_profiles() -> None:
    """`default` changes nothing; `serverless` logs JSON, and watches and polls nothing."""
    assert PROFILES == {
        "default": {},
        "serverless": {
            "logging": {"emit_json": True},
            "remote": {"enabled": False},
            "runtime_supervisor": {"enabled": True},
            "watch": {"enabled": False, "poll_interval": 5.0},
        },
    }


def test_a_profile_of_the_file_is_known_and_starts_empty() -> None:
    """Only a name that nobody wrote is an error, and the known ones are told."""
    assert built_in("staging", written={"staging": {}}) == {}
    with pytest.raises(ConfigError) as caught:
        built_in("zzz", written={"staging": {}})
    assert caught.value.hint == "profiles: default, serverless, staging"
