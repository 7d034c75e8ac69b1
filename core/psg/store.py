"""Prepared studies: the arrays and facts that every later step starts from, in memory and on disk."""

import hashlib
import io
import json
import zipfile
import zlib
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from core.errors import StudyError, UsageError
from core.files import whole_folder
from core.psg.channels import CHANNELS, FURTHER_CHANNELS, MODEL_CHANNELS
from core.psg.quality import UNSEEN, State

if TYPE_CHECKING:
    from core.psg.scoring import Scoring

FORMAT = 1
EPOCH_SAMPLES = 1920
_ARRAYS = ("signals.npy", "extras.npy", "tables.npz")
_SHAPE_HINT = "Prepare the study again."
_COLUMN = {channel.name: column for column, channel in enumerate(CHANNELS)}
_KNOWN = tuple(channel.name for channel in (*CHANNELS, *FURTHER_CHANNELS))
# What json, numpy and zipfile raise on bytes that are not what was written.
_DAMAGE = (OSError, ValueError, KeyError, IndexError, TypeError, EOFError, zipfile.BadZipFile, zlib.error)


@dataclass(frozen=True)
class PreparedStudy:
    """One study as the models take it.

    Parameters
    ----------
    study
        Name of the study.
    start
        Start of the recording by its clock, or None.
    source_hash
        SHA-256 of the source, hexadecimal.
    signals
        ``[N, 10, 1920]`` float32 in the order of ``MODEL_CHANNELS``: z-scored per channel over the recording and
        clipped to ±6; POS a code; a missing channel zeros, a missing POS −1.
    extras
        Channels beyond the ten, ``[N, 1920]`` float32 each; ``SPO2`` is (per cent − 90) / 10, zeros when missing; those
        of ``FURTHER_CHANNELS`` that the recording has, z-scored as the ten.
    offset, scale
        Physical value = stored value × scale + offset, in the channel's canonical unit.
    states
        ``[N, 11]`` uint8, ``core.psg.quality.State`` in the order of ``CHANNELS``.
    channel_map
        JSON form of the channel map: labels, never other header fields.
    repairs
        What was repaired, in words.
    source_format
        Format of the source, such as ``EDF+C``.
    tables, notes
        Measurements, in a form that this room does not need to understand.
    scoring
        The study's scoring, or None.
    further_states
        ``[N]`` uint8 of ``State`` for each of ``FURTHER_CHANNELS`` that the recording has.
    """

    study: str
    start: datetime | None
    source_hash: str
    signals: NDArray[np.float32]
    extras: dict[str, NDArray[np.float32]]
    offset: dict[str, float]
    scale: dict[str, float]
    states: NDArray[np.uint8]
    channel_map: dict[str, Any] = field(default_factory=dict)
    repairs: tuple[str, ...] = ()
    source_format: str = ""
    tables: dict[str, NDArray[Any]] = field(default_factory=dict)
    notes: dict[str, Any] = field(default_factory=dict)
    scoring: "Scoring | None" = None
    further_states: dict[str, NDArray[np.uint8]] = field(default_factory=dict)

    @property
    def n_epochs(self) -> int:
        """Number of 30-s epochs."""
        return int(self.signals.shape[0])

    def stack(self, channels: Sequence[str], rows: slice | NDArray[Any] = slice(None)) -> NDArray[np.float32]:
        """Gather channels of some epochs.

        Parameters
        ----------
        channels
            Names, of the ten or beyond, in the order that a model wants.
        rows
            Which epochs.

        Returns
        -------
        array
            ``[n, C, 1920]`` float32.

        Raises
        ------
        UsageError
            If a channel does not exist.
        """
        if tuple(channels) == MODEL_CHANNELS:
            return np.asarray(self.signals[rows], dtype=np.float32)
        columns = [
            self.extras[name][rows]
            if name in self.extras
            else self.signals[rows, MODEL_CHANNELS.index(name)]
            if name in MODEL_CHANNELS
            else self._absent(name, rows)
            for name in channels
        ]
        return np.stack(columns, axis=1).astype(np.float32, copy=False)

    def _absent(self, name: str, rows: slice | NDArray[Any]) -> NDArray[np.float32]:
        if name not in _KNOWN:
            raise UsageError(f"There is no channel '{name}'.", f"Known are: {', '.join(_KNOWN)}.")
        return np.zeros_like(self.signals[rows, 0], dtype=np.float32)

    def states_of(self, channel: str) -> NDArray[np.uint8]:
        """Give the states of one channel, ``[N]``; ``MISSING`` throughout where the recording has none.

        Raises
        ------
        UsageError
            If there is no channel of that name.
        """
        if channel not in _KNOWN:
            raise UsageError(f"There is no channel '{channel}'.", f"Known are: {', '.join(_KNOWN)}.")
        if channel in _COLUMN:
            return np.asarray(self.states[:, _COLUMN[channel]])
        missing = np.full(self.n_epochs, State.MISSING, np.uint8)
        return np.asarray(self.further_states.get(channel, missing))

    def present(self, channels: Sequence[str], rows: slice | NDArray[Any] = slice(None)) -> NDArray[np.float32]:
        """Say which channels carry a signal that a model may see.

        Parameters
        ----------
        channels
            Names of channels.
        rows
            Which epochs.

        Returns
        -------
        array
            ``[n, C]`` float32: 0 where a channel is missing, flat, in a gap or disconnected, else 1. Clipping, mains
            and movement artefacts are seen: they are facts of the night, and a model learns from them.

        Raises
        ------
        UsageError
            If a channel does not exist.
        """
        states = np.empty((len(self.states[rows]), len(channels)), np.uint8)
        for column, name in enumerate(channels):
            states[:, column] = self.states_of(name)[rows]
        return (~np.isin(states, np.asarray(UNSEEN, dtype=np.uint8))).astype(np.float32)


def is_store(path: Path) -> bool:
    """Say whether a path is a prepared study's folder.

    Parameters
    ----------
    path
        Any path.
    """
    return path.is_dir() and path.suffix == ".psg" and not path.name.startswith(".")


def subject_of(study: str, separator: str) -> str:
    """Name a study's subject: its name up to a separator such as `__`; the whole name where that is empty."""
    return study.split(separator, 1)[0] if separator else study


def write_store(study: PreparedStudy, folder: Path) -> None:
    """Write a prepared study, whole or not at all.

    Parameters
    ----------
    study
        What to write.
    folder
        The folder ``<study>.psg``; one that is there is replaced.

    Raises
    ------
    SleepcliError
        When it cannot be written.
    """
    names = list(study.extras)
    extras = [np.asarray(study.extras[name], dtype=np.float32) for name in names]
    stacked = np.stack(extras) if extras else np.zeros((0, study.n_epochs, EPOCH_SAMPLES), dtype=np.float32)
    tables = {"states": study.states} | {f"table:{name}": table for name, table in study.tables.items()}
    tables |= {f"states:{name}": states for name, states in study.further_states.items()}
    with whole_folder(folder) as temporary:
        np.save(temporary / "signals.npy", np.ascontiguousarray(study.signals, dtype=np.float32))
        np.save(temporary / "extras.npy", stacked)
        np.savez(temporary / "tables.npz", **tables)
        files = {
            name: {"bytes": (temporary / name).stat().st_size, "sha256": _sha256(temporary / name)} for name in _ARRAYS
        }
        text = json.dumps(_facts(study, names, files), ensure_ascii=False, indent=1, sort_keys=True, allow_nan=False)
        (temporary / "study.json").write_text(text + "\n", encoding="utf-8")


def _facts(study: PreparedStudy, extras: list[str], files: dict[str, Any]) -> dict[str, Any]:
    return {
        "format": FORMAT,
        "study": study.study,
        "start": study.start.isoformat() if study.start else None,
        "source_hash": study.source_hash,
        "source_format": study.source_format,
        "n_epochs": study.n_epochs,
        "extras": extras,
        "offset": study.offset,
        "scale": study.scale,
        "channel_map": study.channel_map,
        "repairs": list(study.repairs),
        "notes": study.notes,
        "files": files,
        "scoring": asdict(study.scoring) if study.scoring is not None else None,
    }


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def open_store(folder: Path, verify: bool = False) -> PreparedStudy:
    """Open a prepared study; its signals stay on disk and are memory-mapped.

    Parameters
    ----------
    folder
        The folder that ``write_store`` made.
    verify
        Compare the arrays' SHA-256 too, not just their sizes and shapes.

    Returns
    -------
    PreparedStudy
        The study.

    Raises
    ------
    StudyError
        If a file is missing, damaged, or of another version.
    """
    try:
        facts = json.loads((folder / "study.json").read_text(encoding="utf-8"))
        _check_files(folder, facts, verify)
        signals = np.load(folder / "signals.npy", mmap_mode="r", allow_pickle=False)
        extras = np.load(folder / "extras.npy", mmap_mode="r", allow_pickle=False)
        with np.load(io.BytesIO((folder / "tables.npz").read_bytes()), allow_pickle=False) as archive:
            tables = {name: archive[name] for name in archive.files}
        return _study(facts, signals, extras, tables)
    except _DAMAGE as error:
        raise StudyError(f"The prepared study {folder} is damaged ({type(error).__name__}).", _SHAPE_HINT) from error


def _check_files(folder: Path, facts: dict[str, Any], verify: bool) -> None:
    if facts["format"] != FORMAT:
        raise StudyError(
            f"The prepared study {folder} has format {facts['format']}, this program reads {FORMAT}.", _SHAPE_HINT
        )
    for name in _ARRAYS:
        size = (folder / name).stat().st_size
        if size != facts["files"][name]["bytes"]:
            wanted = facts["files"][name]["bytes"]
            raise StudyError(
                f"The prepared study {folder} is damaged: {name} has {size} bytes instead of {wanted}.", _SHAPE_HINT
            )
        if (verify or name == "tables.npz") and _sha256(folder / name) != facts["files"][name]["sha256"]:
            raise StudyError(f"The prepared study {folder} is damaged: {name} is not what was written.", _SHAPE_HINT)


def _study(
    facts: dict[str, Any], signals: NDArray[Any], extras: NDArray[Any], tables: dict[str, NDArray[Any]]
) -> PreparedStudy:
    n_epochs = facts["n_epochs"]
    shapes = (signals.shape, extras.shape, tables["states"].shape)
    wanted = (
        (n_epochs, len(MODEL_CHANNELS), EPOCH_SAMPLES),
        (len(facts["extras"]), n_epochs, EPOCH_SAMPLES),
        (n_epochs, len(CHANNELS)),
    )
    if shapes != wanted or signals.dtype != np.float32 or extras.dtype != np.float32:
        raise StudyError(f"The prepared study {facts['study']} has arrays of the wrong shape {shapes}.", _SHAPE_HINT)
    return PreparedStudy(
        study=facts["study"],
        start=datetime.fromisoformat(facts["start"]) if facts["start"] else None,
        source_hash=facts["source_hash"],
        signals=signals,
        extras={name: extras[i] for i, name in enumerate(facts["extras"])},
        offset=facts["offset"],
        scale=facts["scale"],
        states=tables["states"],
        channel_map=facts["channel_map"],
        repairs=tuple(facts["repairs"]),
        source_format=facts["source_format"],
        tables=_named(tables, "table:"),
        notes=facts["notes"],
        scoring=_scoring(facts["scoring"]),
        further_states=_named(tables, "states:"),
    )


def _named(tables: dict[str, NDArray[Any]], kind: str) -> dict[str, NDArray[Any]]:
    return {name.removeprefix(kind): table for name, table in tables.items() if name.startswith(kind)}


def _scoring(facts: dict[str, Any] | None) -> "Scoring | None":
    if facts is None:
        return None
    from core.psg.scoring import Event, Scoring  # only a scored study needs the readers

    events = tuple(Event(**event) for event in facts["events"])
    return Scoring(**(facts | {"stages": tuple(facts["stages"]), "events": events}))
