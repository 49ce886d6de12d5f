"""A value to YAML that reads back as the same value."""

import re
from typing import Any

import yaml

from oneiric.documents.canon import json_value
from oneiric.errors import JSONValue

_PLAIN = re.compile(r"[A-Za-z][A-Za-z0-9_./-]*(?: [A-Za-z0-9_./-]+)*")
_WORDS = frozenset(["null", "true", "false", "yes", "no", "on", "off", "y", "n"])


def yaml_of(value: JSONValue) -> str:
    """Return *value* as a YAML document, tables in their order, without anchors.

    What is written is read back as equal by `parse` and by readers of YAML 1.1: text that
    any of them could take for something else is quoted.

    >>> print(yaml_of({"answer": "yes", "ports": [8080]}), end="")
    answer: "yes"
    ports:
    - 8080

    Raises:
        DocumentError: something in *value* is not JSON; names its path.
    """
    return yaml.dump(
        json_value(value),
        Dumper=_Dumper,
        sort_keys=False,
        allow_unicode=True,
        default_flow_style=False,
        width=1 << 30,
    ).removesuffix("...\n")


class _Dumper(yaml.SafeDumper):
    def ignore_aliases(self, data: Any) -> bool:
        """Write out what stands in several places."""
        return True


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    plain = _PLAIN.fullmatch(text) and text.lower() not in _WORDS
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=None if plain else '"')


_Dumper.add_representer(str, _text)
