"""What may be printed as it is."""

import unicodedata

from oneiric.text.printable import printable

MARKS = {0x61C, 0x200E, 0x200F, *range(0x2028, 0x202F), *range(0x2066, 0x206A)}
"""Line separators, and what turns the direction of text."""


def test_only_what_steers_is_escaped() -> None:
    """Controls, lone surrogates and marks of direction are; lines, tabs and all else are not."""
    for code in (*range(0x3000), *range(0xD700, 0xE100), 0xFEFF, 0x1F600, 0xE0001, 0x10FFFF):
        steers = unicodedata.category(chr(code)) in ("Cc", "Cs") or code in MARKS
        is_kept = chr(code) in "\t\n" or not steers
        shown = chr(code) if is_kept else f"\\u{code:04x}"

        assert printable(f"a{chr(code)}b") == f"a{shown}b"
