"""SQL expressions that a caller writes for `--where`: only columns, values and comparisons pass."""

import difflib
import re
import sqlite3

from core.errors import UsageError
from core.inference.conditions import quoted_name
from core.inference.epoch_table import COLUMNS

_TOKENS = re.compile(
    r"\s*(?:(?P<string>'(?:[^']|'')*')|(?P<number>\d+(?:\.\d*)?(?:[eE][+-]?\d+)?|\.\d+)|(?P<name>[A-Za-z_]\w*|`\w+`)|"
    r"(?P<sign><=|>=|<>|!=|=|<|>|\+|-|\*|/|\(|\)|,))"
)
_KEYWORDS = frozenset(("and", "or", "not", "between", "in", "like", "is", "null", "true", "false"))
_HINT = "Such as: --where \"stage = 'R' AND spo2_min < 88 AND NOT has_hypopnea\"; the columns are listed in the README."


def checked_expression(text: str) -> str:
    """Give an expression back with its columns as they are named, or refuse it.

    Nothing but columns of the epochs' table, numbers, quoted text, `AND OR NOT BETWEEN IN LIKE IS NULL TRUE FALSE`,
    comparisons, arithmetic and brackets passes: no function, no statement, no second table.

    Parameters
    ----------
    text
        As typed.

    Raises
    ------
    UsageError
        An unknown column or sign, or an expression that cannot be read.
    """
    words = []
    position = 0
    stripped = text.rstrip()
    while position < len(stripped):
        match = _TOKENS.match(stripped, position)
        if match is None:
            raise UsageError(f"--where cannot be read from {stripped[position:].strip()[:20]!r} on.", _HINT)
        words.append(_named(match["name"]) if match["name"] else match[0].strip())
        position = match.end()
    checked = " ".join(words)
    _check_syntax(checked, text)
    return f"({checked})"


def _named(name: str) -> str:
    bare = name.strip("`")
    if bare.lower() in _KEYWORDS and bare == name:
        return bare.upper()
    known = {column.lower(): column for column in COLUMNS}
    if bare.lower() in known:
        return quoted_name(known[bare.lower()])
    close = difflib.get_close_matches(bare.lower(), list(known), n=1, cutoff=0.5)
    raise UsageError(
        f"--where names {bare!r}, which is no column.", f"Did you mean {known[close[0]]}?" if close else _HINT
    )


def _check_syntax(checked: str, text: str) -> None:
    columns = ", ".join(quoted_name(name) for name in COLUMNS)
    with sqlite3.connect(":memory:") as connection:
        connection.execute(f"CREATE TABLE epochs ({columns})")
        try:
            connection.execute(f"EXPLAIN SELECT 1 FROM epochs WHERE ({checked})")
        except sqlite3.Error as error:
            raise UsageError(f"--where {text!r} is no expression: {error}.", _HINT) from None
    connection.close()
