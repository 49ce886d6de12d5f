"""Turn a docstring in the house's style into Markdown."""

import re
from collections.abc import Iterator

_SECTION = re.compile(r"(Args|Raises|Returns|Yields|Attributes|Source):\s*(.*)")
_ITEM = re.compile(r"(\*{0,2}[\w.]+): (.*)", re.DOTALL)


def markdown_of(docstring: str) -> str:
    """Return *docstring* as Markdown: prompts fenced, sections as lists."""
    parts = [part for part in re.split(r"\n\s*\n", docstring.strip()) if part.strip()]
    return "\n\n".join(text for part in parts for text in _part(part)) + "\n"


def _part(part: str) -> Iterator[str]:
    lines = part.splitlines()
    section = _SECTION.fullmatch(lines[0])
    if part.lstrip().startswith(">>>"):
        yield f"```pycon\n{_dedent(lines)}\n```"
    elif section:
        yield f"**{section[1]}**" + (f" {section[2]}" if section[2] else "")
        if lines[1:]:
            yield "\n".join(_items(_dedent(lines[1:]).splitlines()))
    elif all(line.startswith("    ") for line in lines):
        yield f"```text\n{_dedent(lines)}\n```"
    else:
        yield part


def _items(lines: list[str]) -> Iterator[str]:
    items: list[str] = []
    for line in lines:
        if line.startswith(" ") and items:
            items[-1] += " " + line.strip()
        else:
            items.append(line)
    for item in items:
        named = _ITEM.fullmatch(item)
        yield f"- `{named[1]}`: {named[2]}" if named else f"- {item}"


def _dedent(lines: list[str]) -> str:
    indent = min(len(line) - len(line.lstrip()) for line in lines)
    return "\n".join(line[indent:] for line in lines)
