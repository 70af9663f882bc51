"""Stored text made harmless for terminals, spreadsheets and Markdown pages.

What a model wrote may hold escape sequences that recolour, overwrite or answer for the user, characters that turn the
reading direction of code around, and invisible ones. They are shown as escapes; everything else is shown as it is.
"""

from __future__ import annotations

import re

# C0, DEL and C1; marks and overrides of direction; line separators; interlinear notes; surrogates; invisible tags.
_UNSAFE = re.compile(
    "[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufff9-\ufffb\ud800-\udfff\U000e0000-\U000e007f]"
)
_SHORT = {"\n": "\\n", "\t": "\\t", "\r": "\\r"}
_LAST_OF_TWO_DIGITS = 0xFF
_LAST_OF_FOUR_DIGITS = 0xFFFF

_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")
"""With these a spreadsheet takes a cell for a formula; the last four are the wide forms that some take as well."""

_MARKDOWN = re.compile(r"[\\`*_\[\]|~$!#]")
_HTML = {"&": "&amp;", "<": "&lt;", ">": "&gt;"}
_HTML_UNSAFE = re.compile("[&<>]")


def visible(text: str) -> str:
    """Return text on one line, with escapes for every character that a terminal would act on."""
    return text if text.isprintable() else _UNSAFE.sub(_escape, text)


def visible_block(text: str) -> str:
    """Return text as `visible` does, but keep its line feeds and tabs."""
    if text.isprintable():
        return text
    return _UNSAFE.sub(lambda found: found[0] if found[0] in "\n\t" else _escape(found), text)


def visible_json(text: str) -> str:
    """Return JSON text that means the same and holds no character that a terminal would act on."""
    return text if text.isprintable() else _UNSAFE.sub(_escape_json, text)


def csv_text(text: str) -> str:
    """Return text for a CSV cell: an apostrophe before what a spreadsheet would run, escapes for control characters."""
    safe = _UNSAFE.sub(lambda found: found[0] if found[0] == "\n" else _escape(found), text)
    return f"'{safe}" if text.startswith(_FORMULA_STARTS) else safe


def markdown_text(text: str) -> str:
    """Return text for a cell of a Markdown table that shows as itself: no markup, no HTML, no new cell or row."""
    safe = _MARKDOWN.sub(r"\\\g<0>", visible(text))
    return _HTML_UNSAFE.sub(lambda found: _HTML[found[0]], safe)


def _escape(found: re.Match[str]) -> str:
    char = found[0]
    code = ord(char)
    if char in _SHORT:
        return _SHORT[char]
    if code <= _LAST_OF_TWO_DIGITS:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code <= _LAST_OF_FOUR_DIGITS else f"\\U{code:08x}"


def _escape_json(found: re.Match[str]) -> str:
    units = found[0].encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{units[i]:02x}{units[i + 1]:02x}" for i in range(0, len(units), 2))
