"""Scorings: the stages and events that a person (or the simulator) gives a study; read, found, written."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from core.errors import StudyError, UsageError
from core.files import write_with
from core.psg.recording import open_recording
from core.psg.scorings.alignment import align
from core.psg.scorings.annotations import annotations_file, score_of_recording
from core.psg.scorings.domino import is_domino, read_domino
from core.psg.scorings.markup import is_scoring_xml, read_xml, write_nsrr
from core.psg.scorings.structured import read_json, write_json
from core.psg.scorings.tables import (
    is_model_output,
    looks_like_scoring,
    read_luna,
    read_table,
    write_bids,
    write_csv,
    write_luna,
)
from core.psg.scorings.terms import EPOCH_SECONDS, EVENT_LABELS, EVENT_TYPES, STAGES, UNSCORED, Event, Score

__all__ = [
    "EVENT_TYPES",
    "STAGES",
    "UNSCORED",
    "WRITTEN_SUFFIXES",
    "Event",
    "Scoring",
    "find_scoring",
    "read_scoring",
    "write_scoring",
]

WRITTEN_SUFFIXES = (".csv", ".tsv", ".json", ".xml", ".edf", ".annot")
"""Formats that `write_scoring` writes; only `.csv` leaves events and lights out."""
MAX_BYTES = 256 << 20
"""Bytes; a larger file is no scoring."""
_EDF_FILES = (".edf", ".bdf", ".rec")


@dataclass(frozen=True)
class Scoring:
    """Stages and events of a night."""

    stages: tuple[str, ...]
    """A stage of `STAGES` or `UNSCORED` for each 30-s epoch from the recording's start."""
    events: tuple[Event, ...]
    """Events by onset, seconds from the recording's start."""
    lights_off: float | None = None
    """Seconds from the recording's start; None where unknown."""
    lights_on: float | None = None
    """Seconds from the recording's start; None where unknown."""
    source: str = ""
    """Name of the file that it was read from."""


def read_scoring(path: Path, start: datetime | None = None, n_epochs: int | None = None) -> Scoring:
    """Read a scoring and place it on a recording's epochs.

    Parameters
    ----------
    path
        EDF+ (annotations), NSRR or Profusion XML, Luna `.annot` or `.eannot`, CSV, TSV, BIDS `_events.tsv`,
        a text with one stage a line, DOMINO's texts, or JSON as the simulator and `write_scoring` write it.
    start
        Clock time of the recording's start; a scoring with a clock of its own is moved by the difference.
    n_epochs
        Epochs of the recording; None takes as many as the scoring has.

    Returns
    -------
    Scoring
        Stages of exactly `n_epochs` epochs, `?` where nothing is scored.

    Raises
    ------
    UsageError
        The path does not exist.
    StudyError
        The file is no scoring, contradicts itself, or cannot belong to the recording.
    """
    path = Path(path)
    score = _read(path)
    if not score.rows and not score.events and score.lights_off is None and score.lights_on is None:
        raise StudyError(f"{path.name} holds no stage and no event that is known.", "Name another scoring.")
    aligned = align(score, start, n_epochs, path.name)
    return Scoring(aligned.stages, aligned.events, aligned.lights_off, aligned.lights_on, path.name)


def _read(path: Path) -> Score:
    if not path.is_file():
        raise UsageError(f"{path.name} does not exist or is no file.", "Check the path of the scoring.")
    suffix = path.suffix.lower()
    if suffix in _EDF_FILES:
        return score_of_recording(open_recording(path))
    data = _bytes(path)
    if suffix == ".xml":
        return read_xml(data, path.name)
    text = _decoded(data, path.name)
    if suffix == ".json":
        return read_json(text, path.name)
    if suffix in (".annot", ".eannot"):
        return read_luna(text, path.name, whole_epochs=suffix == ".eannot")
    return read_domino(text, path.name) if is_domino(text) else read_table(text, path.name)


def _bytes(path: Path, limit: int = MAX_BYTES) -> bytes:
    try:
        if limit == MAX_BYTES and path.stat().st_size > MAX_BYTES:
            raise StudyError(f"{path.name} is too large for a scoring.", "Name another scoring.")
        with path.open("rb") as file:
            return file.read(limit)
    except OSError as error:
        raise StudyError(f"{path.name} cannot be opened: {error.strerror}.") from error


def _decoded(data: bytes, name: str) -> str:
    if b"\x00" in data[:4096] and not data.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise StudyError(f"{name} is not a text file.", "Name a scoring as text, XML, JSON or EDF+.")
    encodings = ("utf-16",) if data.startswith((b"\xff\xfe", b"\xfe\xff")) else ("utf-8-sig", "latin-1")
    for encoding in encodings:
        try:
            return data.decode(encoding)
        except UnicodeDecodeError:
            continue
    raise StudyError(f"{name} is not a text file.", "Name a scoring as text, XML, JSON or EDF+.")


def find_scoring(study_path: Path) -> Path | None:
    """Find the scoring beside a study, or in its own annotations.

    Looked for, in this order: the simulator's truth; NSRR and Profusion XML; Luna's files; tables and lists
    of the same stem; the naming of Sleep-EDF, HMC, MASS, ISRUC, DREAMS and BIDS; stages among the study's own
    annotations. A table with stage probabilities is a model's output and never found.

    Parameters
    ----------
    study_path
        The study's file; it need not exist.

    Returns
    -------
    Path or None
        The scoring's file; the study itself where it holds its scoring.
    """
    study_path = Path(study_path)
    for candidate in _candidates(study_path):
        if candidate.is_file() and candidate != study_path and _is_scoring(candidate):
            return candidate
    if study_path.is_file() and study_path.suffix.lower() in _EDF_FILES and _is_scoring(study_path):
        return study_path
    return None


def lights_of(study_path: Path) -> tuple[float | None, float | None]:
    """Read lights off and on among a recording's own annotations, in seconds from its start; None where it has none."""
    study_path = Path(study_path)
    if study_path.suffix.lower() not in _EDF_FILES or not study_path.is_file():
        return None, None
    score = score_of_recording(open_recording(study_path))
    return score.lights_off, score.lights_on


_SAME_STEM = (
    *(".truth.json", "-nsrr.xml", "-profusion.xml", ".xml", ".XML", ".edf.XML", ".edf.xml", ".annot", ".eannot"),
    ".scoring.json",
    *(".scoring.csv", ".scoring.tsv", ".stages.csv", ".stages.tsv", ".hypnogram.csv", "_hypnogram.csv"),
    *(".csv", ".tsv", ".txt", "_stage.txt", "_sleepscoring.edf", "_sleepscoring.txt", "-Hypnogram.edf"),
    *("_hypnogram.edf", "_Hypnogram.edf", "_1.txt", ".CSV", ".TXT"),
)
_DATA_SETS: tuple[tuple[str, str], ...] = (
    (r"^(S[CT]\d{4}[A-Z])\d-PSG$", r"\1?-Hypnogram.edf"),  # Sleep-EDF: the second letter is the scorer
    (r"^(.+)_(?:eeg|psg|ieeg)$", r"\1_events.tsv"),  # BIDS
    (r"^(.+) PSG$", r"\1 Base.edf"),  # MASS
    (r"^(.+) PSG$", r"\1 Annotations.edf"),  # MASS
    (r"^(subject\d+)$", r"HypnogramAASM_\1.txt"),  # DREAMS
)


def _candidates(study_path: Path) -> Iterator[Path]:
    stem = study_path.stem
    yield from (study_path.with_name(stem + suffix) for suffix in _SAME_STEM)
    for pattern, scoring in _DATA_SETS:
        match = re.match(pattern, stem)
        if match is not None:
            name = match.expand(scoring)
            if "?" in name:
                before, after = name.split("?")
                siblings = study_path.parent.iterdir() if study_path.parent.is_dir() else ()
                yield from sorted(
                    p for p in siblings if re.fullmatch(re.escape(before) + "." + re.escape(after), p.name)
                )
            else:
                yield study_path.with_name(name)


def _is_scoring(path: Path) -> bool:
    """Look into a file that stands beside a study: another document of the same stem is no scoring."""
    suffix = path.suffix.lower()
    if suffix in _EDF_FILES:
        try:
            score = score_of_recording(open_recording(path))
        except StudyError:
            return False
        return bool(score.rows)
    if suffix == ".xml":
        return is_scoring_xml(_bytes(path, 4096))
    if suffix in (".csv", ".tsv", ".txt"):
        try:
            text = _decoded(_bytes(path, 64 << 10), path.name)
        except StudyError:
            return False
        return is_domino(text) or (looks_like_scoring(text) and not is_model_output(text))
    return True


def write_scoring(scoring: Scoring, path: Path, start: datetime | None = None) -> None:
    """Write a scoring in the format of the path's suffix, whole or not at all.

    Parameters
    ----------
    scoring
        What to write.
    path
        `.csv` (stages only), `.tsv` (BIDS events), `.json`, `.xml` (NSRR), `.edf` (EDF+ annotations) or
        `.annot` (Luna).
    start
        Clock time of the recording's start, for `.edf`; None writes EDF+'s anonymous start.

    Raises
    ------
    UsageError
        The suffix is none of them.
    SleepcliError
        The file cannot be written.
    """
    suffix = path.suffix.lower()
    everything = (scoring.stages, scoring.events, scoring.lights_off, scoring.lights_on)
    if suffix == ".csv":
        data = write_csv(scoring.stages).encode()
    elif suffix == ".tsv":
        data = write_bids(_rows(scoring)).encode()
    elif suffix == ".json":
        data = write_json(*everything).encode()
    elif suffix == ".xml":
        data = write_nsrr(*everything)
    elif suffix == ".annot":
        data = write_luna(_rows(scoring)).encode()
    elif suffix == ".edf":
        data = annotations_file(_rows(scoring), start)
    else:
        raise UsageError(f"A scoring cannot be written as {path.name}.", f"Use one of {', '.join(WRITTEN_SUFFIXES)}.")
    write_with(path, lambda temporary: temporary.write_bytes(data))


def _rows(scoring: Scoring) -> list[tuple[float, float, str]]:
    """Return onset, duration and label of all stages, events and lights, by onset."""
    rows = [(i * EPOCH_SECONDS, EPOCH_SECONDS, f"Sleep stage {stage}") for i, stage in enumerate(scoring.stages)]
    rows += [(e.onset, e.duration, EVENT_LABELS[e.type]) for e in scoring.events]
    rows += [] if scoring.lights_off is None else [(scoring.lights_off, 0.0, "Lights off")]
    rows += [] if scoring.lights_on is None else [(scoring.lights_on, 0.0, "Lights on")]
    return sorted(rows)
