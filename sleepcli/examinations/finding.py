"""What an examination of the installation finds."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Finding:
    """One line of the examination."""

    what: str
    """What was looked at."""
    state: str
    """`ok`, `note` or `problem`."""
    found: str
    """What is there."""
    cure: str = ""
    """What to do; every problem has one."""
