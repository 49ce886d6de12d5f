"""What `$dynamicRef` stands for, where that does not hang on the way to it."""

from __future__ import annotations

from collections import defaultdict
from typing import cast

from oneiric.errors import JSONValue
from oneiric.validation.openapi.references import Table, tables_in

DYNAMIC = "$dynamicRef"
KEY = "x-anchors"
"""Where in the document schemas are kept that have a `$dynamicAnchor` of their own."""

_REASON = f"{DYNAMIC} may lead elsewhere on each way to it, and is not followed"


def settle_dynamic(root: dict[str, JSONValue]) -> list[tuple[str, str]]:
    """Write each `$dynamicRef` that can mean one schema only as the `$ref` that it amounts to.

    Where several schemas have the anchor, the one that counts hangs on the way to the reference.
    Such references stay as they are: their places are returned, each with why.
    """
    anchors: dict[str, dict[int, Table]] = defaultdict(dict)
    found: dict[int, tuple[Table, str]] = {}
    for table, path in tables_in(root):
        for word in ("$dynamicAnchor", "$anchor"):
            if isinstance(name := table.get(word), str):
                anchors[name][id(table)] = table
        if isinstance(table.get(DYNAMIC), str):
            found[id(table)] = table, path
    left = []
    for table, path in found.values():
        reference = str(table[DYNAMIC])
        name = reference.removeprefix("#")
        known = [each for each in anchors.get(name, {}).values() if each is not table]
        is_one = len(known) == 1 == len(anchors[name]) and reference.startswith("#")
        if "$ref" in table or not (is_one or reference.startswith("#/")):
            left.append((path, _REASON))
            continue
        if is_one:
            kept = cast("dict[str, JSONValue]", root.setdefault(KEY, {}))
            kept[name] = known[0]
            reference = f"#/{KEY}/{name}"
        own = cast("dict[str, JSONValue]", table)
        del own[DYNAMIC]
        own["$ref"] = reference
    return left
