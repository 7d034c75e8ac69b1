"""A lab's own montage: a small TOML file that says which signal is which channel."""

import difflib
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from core.errors import UsageError
from core.files import write_text
from core.psg.channels import CHANNEL_BY_NAME
from core.psg.derivations import Candidate
from core.psg.units import voltage_factor

if TYPE_CHECKING:
    from core.psg.channels import ChannelMap
    from core.psg.recording import SignalInfo

_TARGETS = tuple(CHANNEL_BY_NAME)
BY_MONTAGE = "chosen by the montage"
"""The reason of a channel whose signal a montage names."""
_POSITIONS = {"right": 0, "left": 1, "supine": 2, "prone": 3, "upright": 4, "unknown": -1}


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
        The recorder's position codes to the model's (0 right, 1 left, 2 supine, 3 prone, 4 upright, −1 unknown).
    """

    signals: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    units: Mapping[str, str] = field(default_factory=dict)
    position_codes: Mapping[int, int] = field(default_factory=dict)

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


def _position(table: Mapping[str, Any]) -> Any:
    """Give the position codes, written in the table itself or under `codes`."""
    plain = {key: value for key, value in table.items() if key != "codes"}
    codes = table.get("codes", {})
    return {**codes, **plain} if isinstance(codes, dict) else codes


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
        _codes(_position(document.get("position", {})), path),
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


def _codes(value: object, path: Path) -> dict[int, int]:
    hint = 'Write codes = { 0 = "supine", 1 = "left", ... } with ' + ", ".join(_POSITIONS) + "."
    if not isinstance(value, dict):
        raise UsageError(f"In the montage {path}, the position codes are no table.", hint)
    codes: dict[int, int] = {}
    for key, name in value.items():
        position = _POSITIONS.get(str(name).strip().lower())
        if position is None or not key.strip().lstrip("-").isdigit():
            raise UsageError(f"In the montage {path}, the position code {key} = {name} is not known.", hint)
        codes[int(key)] = position
    return codes


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
    lines += ["", "# The recorder's body position codes: " + ", ".join(_POSITIONS) + ".", "[position]"]
    names = {code: name for name, code in _POSITIONS.items()}
    codes = channel_map.position_codes
    example = codes if codes is not None else {0: 0, 1: 1, 2: 2, 3: 3, 4: 4}
    entries = ", ".join(f'{raw} = "{names[code]}"' for raw, code in example.items() if code in names)
    lines.append(("" if codes is not None else "# ") + f"codes = {{ {entries} }}")
    write_text(path, "\n".join(lines) + "\n")


def _quoted(text: str) -> str:
    """Write a TOML basic string."""
    escaped = "".join(
        f"\\{char}" if char in '"\\' else (f"\\u{ord(char):04x}" if ord(char) < 32 or ord(char) == 127 else char)
        for char in text
    )
    return f'"{escaped}"'
