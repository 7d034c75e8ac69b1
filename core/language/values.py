"""How a measured value is written in a caption, and how it is read again."""

import re

from core.language.measurements import MEASUREMENTS

COUNTED = {"spindle_count": ("spindle", "spindles"), "slow_wave_count": ("slow wave", "slow waves")}
"""Measurements that count something: the noun for one and for several."""

READINGS = ("spo2_min", "spo2_max")
"""Measurements that are readings of a device: a whole number is told without decimals."""

POSITIONS = ("right lateral", "left lateral", "supine", "prone", "upright")
"""Body positions by their code."""

_UNITS = {"": "", "1": "", "ratio": "", "count": "", "code": "", "%": "%", "°": "°", "1/min": "/min", "per min": "/min"}
_NUMBER = r"-?\d+(?:\.\d+)?"


def unit_text(name: str) -> str:
    """The unit of a measurement as it follows the figure, with its leading space where it has one."""
    unit = MEASUREMENTS[name].unit
    if unit in _UNITS:
        return _UNITS[unit]
    return unit if unit.startswith("/") else f" {unit}"


def printed(name: str, value: float) -> float:
    """The value as a caption prints it: rounded to the measurement's digits, without a negative zero."""
    if name in COUNTED or name == "position":
        return float(round(value))
    return round(float(value), MEASUREMENTS[name].digits) + 0.0


def value_text(name: str, value: float) -> str:
    """A value in words and figures: `61 bpm`, `62.0%`, `1 spindle`, `no slow waves`, `supine`."""
    shown = printed(name, value)
    if name == "position":
        code = int(shown)
        return POSITIONS[code] if 0 <= code < len(POSITIONS) else ""
    if name in COUNTED:
        one, several = COUNTED[name]
        count = int(shown)
        return f"{'no' if count == 0 else count} {one if count == 1 else several}"
    digits = 0 if name in READINGS and shown.is_integer() else MEASUREMENTS[name].digits
    return f"{shown:.{digits}f}{unit_text(name)}"


def value_pattern(name: str) -> str:
    """A regular expression, without groups, for the value as `value_text` or a slot writes it."""
    slot = re.escape(f"<{name}>")
    if name == "position":
        return f"(?:{slot}|{'|'.join(POSITIONS)})"
    if name in COUNTED:
        one, several = COUNTED[name]
        return rf"(?:{slot}|(?:no|\d+) (?:{several}|{one}))"
    unit = unit_text(name)
    tail = rf"(?:\s?{re.escape(unit.strip())})?" if unit else ""
    return rf"(?:{slot}|{_NUMBER}{tail})"


def read_value(name: str, text: str) -> float | None:
    """The value that a matched text states; None where the text is a slot that is not filled in."""
    if text.startswith("<"):
        return None
    if name == "position":
        return float(POSITIONS.index(text.lower()))
    if name in COUNTED and text.lower().startswith("no "):
        return 0.0
    found = re.match(_NUMBER, text)
    return float(found.group()) if found else None
