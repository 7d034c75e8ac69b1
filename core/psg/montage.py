"""A lab's own montage: a small TOML file that says which signal is which channel."""

import difflib
import math
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from core.errors import UsageError
from core.files import write_text
from core.psg.channels import CHANNEL_BY_NAME
from core.psg.derivations import Candidate
from core.psg.position_codes import POSITION_CODINGS, POSITIONS, coding_by_name, position_of
from core.psg.units import voltage_factor

if TYPE_CHECKING:
    from core.psg.channels import ChannelMap
    from core.psg.recording import SignalInfo

_TARGETS = tuple(CHANNEL_BY_NAME)
BY_MONTAGE = "chosen by the montage"
"""The reason of a channel whose signal a montage names."""
_SIDES = ("left", "right")


@dataclass(frozen=True)
class Montage:
    """What a montage file says.

    Parameters
    ----------
    signals
        Channel name to ``(label,)`` or ``(label, label of the reference)``; ``()`` leaves the channel out.
    units
        Channel name to the unit in which the file's numbers really are.
    position_codes
        The recorder's position codes, or its levels in volts, to the model's codes (0 right, 1 left, 2 supine,
        3 prone, 4 upright, −1 unknown).
    positive_side
        ``left`` or ``right`` where the position is an angle in degrees (0 supine) that is positive on that side.
    """

    signals: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    units: Mapping[str, str] = field(default_factory=dict)
    position_codes: Mapping[float, int] = field(default_factory=dict)
    positive_side: str = ""

    def candidates(self, signals: "Sequence[SignalInfo]") -> dict[str, Candidate]:
        """Turn the labels into signals of a file.

        Parameters
        ----------
        signals
            The file's signals.

        Returns
        -------
        dict
            Channel name to the candidate that the montage asks for.

        Raises
        ------
        UsageError
            If a label is not in the file, or a reference does not fit the signal's rate.
        """
        found: dict[str, Candidate] = {}
        for target, labels in self.signals.items():
            if not labels:
                found[target] = Candidate((), "", "missing", "left out by the montage")
                continue
            picked = [_find(label, signals, target) for label in labels]
            if len({(signal.rate, signal.n_samples, signal.unit.strip()) for signal in picked}) > 1:
                raise UsageError(
                    f"The montage subtracts '{labels[1]}' from '{labels[0]}' for {target}, whose rate or unit differs.",
                    "Name a reference of the same rate and unit.",
                )
            derivation = "-".join(label.strip() for label in labels)
            found[target] = Candidate(tuple(s.index for s in picked), derivation, "ok", BY_MONTAGE)
        return found


def _suggestion(name: str, known: Iterable[str]) -> str:
    known = list(known)
    folded = {item.strip().casefold(): item for item in known}
    close = difflib.get_close_matches(name.strip().casefold(), folded, n=1, cutoff=0.5)
    if close:
        return f"Did you mean '{folded[close[0]]}'?"
    return "Known are: " + ", ".join(known) + "."


def _find(label: str, signals: "Sequence[SignalInfo]", target: str) -> "SignalInfo":
    wanted = label.strip()
    for signal in signals:
        if signal.label.strip() == wanted:
            return signal
    for signal in signals:
        if signal.label.strip().casefold() == wanted.casefold():
            return signal
    hint = _suggestion(label, [signal.label for signal in signals])
    raise UsageError(f"The montage wants '{label}' for {target}, but the file has no such signal.", hint)


def _document(path: Path) -> dict[str, Any]:
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise UsageError(
            f"The montage {path} cannot be read: {error.strerror}.", "Give the path of a TOML file."
        ) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(
            f"The montage {path} is not TOML: {error}.", "`info --write-montage` makes one to edit."
        ) from error
    for table in document:
        if table not in ("channels", "units", "position"):
            raise UsageError(
                f"The montage {path} has an unknown table [{table}].",
                _suggestion(table, ("channels", "units", "position")),
            )
        if not isinstance(document[table], dict):
            raise UsageError(
                f"In the montage {path}, {table} is no table.", f"Begin it with [{table}] on a line of its own."
            )
    return document


def read_montage(path: Path) -> Montage:
    """Read a montage file.

    Parameters
    ----------
    path
        A TOML file with the tables ``[channels]``, ``[units]`` and ``[position]``, as ``write_montage`` makes it.

    Returns
    -------
    Montage
        What the file says.

    Raises
    ------
    UsageError
        If the file does not exist, is no TOML, or names a table, channel or position that does not exist.
    """
    document = _document(path)
    channels: dict[str, Any] = document.get("channels", {})
    units: dict[str, Any] = document.get("units", {})
    for target in (*channels, *units):
        if target not in _TARGETS:
            raise UsageError(f"The montage {path} names an unknown channel '{target}'.", _suggestion(target, _TARGETS))
    for target, unit in units.items():
        if CHANNEL_BY_NAME[target].unit in ("µV", "mV") and voltage_factor(str(unit)) is None:
            raise UsageError(f"The montage {path} gives {target} the unit '{unit}'.", "Known are: V, mV, uV, nV.")
    return Montage(
        {target: _labels(target, value, path) for target, value in channels.items()},
        {target: str(value) for target, value in units.items()},
        *_position(document.get("position", {}), path),
    )


def _labels(target: str, value: object, path: Path) -> tuple[str, ...]:
    if isinstance(value, dict) and set(value) <= {"signal", "reference"} and isinstance(value.get("signal"), str):
        value = [value[key] for key in ("signal", "reference") if key in value]
    if isinstance(value, str):
        return (value,) if value.strip() else ()
    if isinstance(value, list) and len(value) <= 2 and all(isinstance(item, str) and item.strip() for item in value):
        return tuple(value)
    raise UsageError(
        f"In the montage {path}, {target} is neither a label nor a signal with its reference.",
        f'Write {target} = "label" or {target} = {{ signal = "C3", reference = "M2" }}.',
    )


def _position(table: Mapping[str, Any], path: Path) -> tuple[dict[float, int], str]:
    """Read the position codes, written in the table itself or under `codes`, and the side of positive angles."""
    side = table.get("positive", "")
    if side and side not in _SIDES:
        raise UsageError(f"In the montage {path}, positive = {side} is no side.", 'Write positive = "left" or "right".')
    codes = table.get("codes", {})
    if isinstance(codes, str):
        coding = coding_by_name(codes)
        if coding is None:
            raise UsageError(
                f"The montage {path} names position codes of '{codes}', which are not known.",
                _suggestion(codes, [known.name for known in POSITION_CODINGS]),
            )
        return dict(coding.codes), side
    if not isinstance(codes, dict):
        raise UsageError(f"In the montage {path}, the position codes are no table.", _CODES_HINT)
    plain = {key: value for key, value in table.items() if key not in ("codes", "positive")}
    return {_number(key, path): _named(key, name, path) for key, name in {**codes, **plain}.items()}, side


_CODES_HINT = 'Write codes = { 0 = "supine", 1 = "left", ... } with ' + ", ".join(POSITIONS) + "."


def _number(key: str, path: Path) -> float:
    try:
        value = float(key)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        known = _suggestion(key, ("codes", "positive")) if key[:1].isalpha() and key not in POSITIONS else _CODES_HINT
        raise UsageError(f"In the montage {path}, the position code {key} is no number.", known)
    return value


def _named(key: str, name: object, path: Path) -> int:
    position = position_of(str(name))
    if position is None:
        hint = _suggestion(str(name), POSITIONS)
        raise UsageError(f"In the montage {path}, the position code {key} = {name} is not known.", hint)
    return position


def write_montage(channel_map: "ChannelMap", path: Path) -> None:
    """Write a map as a montage file to edit.

    Parameters
    ----------
    channel_map
        The map of a file, as the resolver made it.
    path
        Where to write; a file there is replaced.
    """
    lines = ["# Which signal of the file is which channel. An empty name leaves the channel out.", "[channels]"]
    for source in channel_map.every:
        lines.append(f"# {source.state}: {source.reason}")
        labels = [_quoted(label) for label in source.labels]
        value = (
            f"{{ signal = {labels[0]}, reference = {labels[1]} }}"
            if len(labels) == 2
            else (labels[0] if labels else '""')
        )
        lines.append(f"{source.target} = {value}")
    lines += ["", "# The unit that the numbers are in, where the file's header is wrong.", "[units]"]
    lines += [f"# {source.target} = {_quoted(source.unit)}" for source in channel_map.present() if source.unit]
    lines += ["", *_position_lines(channel_map)]
    write_text(path, "\n".join(lines) + "\n")


def _position_lines(channel_map: "ChannelMap") -> list[str]:
    """Write the table of positions: what is known, and as remarks what could be."""
    names = {code: name for name, code in POSITIONS.items()}
    codes = channel_map.position_codes
    example = codes if codes is not None else {0: 0, 1: 1, 2: 2, 3: 3, 4: 4}
    entries = ", ".join(f'{_key(raw)} = "{names[code]}"' for raw, code in example.items())
    documented = ", ".join(f'"{coding.name}"' for coding in POSITION_CODINGS)
    side = channel_map.positive_side
    return [
        f"# The recorder's body position codes, or levels: {', '.join(POSITIONS)}; or codes of {documented}.",
        "# An angle in degrees, 0 supine, has the side on which it is positive instead.",
        "[position]",
        ("" if codes is not None else "# ") + f"codes = {{ {entries} }}",
        ("" if side else "# ") + f'positive = "{side or "left"}"',
    ]


def _key(code: float) -> str:
    """Write a code as a TOML key; one with a decimal point is quoted."""
    return f"{code:.0f}" if code == int(code) else f'"{code:g}"'


def _quoted(text: str) -> str:
    """Write a TOML basic string."""
    escaped = "".join(
        f"\\{char}" if char in '"\\' else (f"\\u{ord(char):04x}" if ord(char) < 32 or ord(char) == 127 else char)
        for char in text
    )
    return f'"{escaped}"'
