"""Tables as comma-separated values (RFC 4180) that are safe to open with a spreadsheet."""

import csv
import io
from collections.abc import Iterable


def csv_line(values: Iterable[object]) -> str:
    """One line."""
    text = io.StringIO()
    csv.writer(text).writerow([_cell(value) for value in values])
    return text.getvalue()


def _cell(value: object) -> object:
    """A value that no spreadsheet takes for a formula: words may be anybody's."""
    if isinstance(value, str) and value[:1] in ("=", "+", "-", "@", "\t", "\r"):
        return f"'{value}"
    return value
