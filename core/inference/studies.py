"""From a path to a prepared study: measured, and with its scoring where there is one."""

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from core.errors import StudyError
from core.inference.lights import lit
from core.language.measure import EpochMeasurements, get_ready, measure
from core.psg.alternatives import load_living
from core.psg.channels import ChannelMap
from core.psg.mapping import map_recording
from core.psg.montage import Montage
from core.psg.preprocess import EPOCH_SECONDS, Trace, prepare, prepared_from_array, traces_of
from core.psg.recording import Gap, open_recording
from core.psg.scoring import UNSCORED, Scoring, find_scoring, lights_of, read_scoring
from core.psg.store import PreparedStudy, is_store, open_store


@dataclass(frozen=True)
class StudyOptions:
    """Wishes of a caller about reading a study."""

    montage: Montage | None = None
    """Channel assignments that go before the resolver's own."""
    scoring: Path | None = None
    """A scoring given by hand; None to look beside the study."""
    look_for_scoring: bool = True
    """False to leave a scoring that lies beside the study alone."""
    lights_off: str | None = None
    """Clock time `HH:MM[:SS]`, or seconds from the start of the recording; None for the scoring's own."""
    lights_on: str | None = None
    """Likewise."""
    study_id: str | None = None
    """Name of the study in every output; None for the file's stem."""
    measured: bool = True
    """False to skip the measurements, for staging and embedding alone."""
    channels: tuple[str, ...] | None = None
    """Channels to read; None for all. The others are missing in the prepared study."""


def open_study(path: Path, options: StudyOptions | None = None) -> PreparedStudy:
    """Read, prepare and measure one study.

    Parameters
    ----------
    path
        EDF, BDF or any other signal file, a prepared study's folder, or a .npy of [N, 10, 1920].
    options
        Montage, scoring and name.

    Returns
    -------
    PreparedStudy
        With measurements in `tables` and `notes` (see `measurements_of`) unless they were not wanted.

    Raises
    ------
    StudyError
        The file cannot be read, or holds less than one whole epoch.
    """
    options = options or StudyOptions()
    study, traces = _opened_to_measure(path, options) if options.measured else _opened(path, options)
    if options.measured and "measured_values" not in study.tables:
        tables, notes = measure(traces or traces_of(study), study.states, study.n_epochs).to_tables()
        study = replace(study, tables=tables, notes=notes)
    return _with_scoring(study, path, options)


def open_measuring(
    path: Path, options: StudyOptions | None = None
) -> tuple[PreparedStudy, Callable[[], EpochMeasurements]]:
    """Read and prepare one study, and measure it beside whatever comes next.

    Returns
    -------
    tuple
        The study, without its measurements unless it was opened with them, and what waits for and gives them.

    Raises
    ------
    StudyError
        As `open_study`; an error of the measurement is raised where they are asked for.
    """
    options = options or StudyOptions()
    study, traces = _opened_to_measure(path, options)
    study = _with_scoring(study, path, options)
    pool = ThreadPoolExecutor(1, "measuring")
    later = pool.submit(_measurements, study, traces)
    pool.shutdown(wait=False)
    return study, later.result


def _opened_to_measure(path: Path, options: StudyOptions) -> tuple[PreparedStudy, Mapping[str, Trace]]:
    """Read and prepare a study, and bring meanwhile what measuring it needs.

    Other formats' readers import the same libraries, and the two imports must not meet.
    """
    if path.suffix.lower() not in (".edf", ".bdf"):
        return _opened(path, options)
    pool = ThreadPoolExecutor(1, "imports")
    pool.submit(get_ready)
    pool.shutdown(wait=False)
    return _opened(path, options)


def _opened(path: Path, options: StudyOptions) -> tuple[PreparedStudy, Mapping[str, Trace]]:
    """Read and prepare a study; its traces at native rates where it comes from a recording."""
    if not path.exists():
        raise StudyError(f"{path} does not exist.", "Check the path.")
    traces: Mapping[str, Trace] = {}
    if is_store(path):
        study = open_store(path)
    elif path.suffix.lower() == ".npy":
        study = _from_array(path, options)
    else:
        study, traces = _from_recording(path, options)
    if options.study_id and options.study_id != study.study:
        study = replace(study, study=options.study_id)
    if study.n_epochs == 0:
        raise _too_short(path, 0.0)
    return study, traces


def measurements_of(study: PreparedStudy) -> EpochMeasurements:
    """Give the study's measurements, taking them now where the study carries none."""
    return _measurements(study, {})


def _measurements(study: PreparedStudy, traces: Mapping[str, Trace]) -> EpochMeasurements:
    if "measured_values" in study.tables:
        return EpochMeasurements.from_tables(study.tables, study.notes)
    return measure(traces or traces_of(study), study.states, study.n_epochs)


def _from_recording(path: Path, options: StudyOptions) -> tuple[PreparedStudy, Mapping[str, Trace]]:
    recording = open_recording(path, options.study_id)
    if recording.is_scoring:
        raise StudyError(
            f"{path} holds annotations only: it is a scoring, not a study.",
            "Give the study's signals, and this file with --scoring.",
        )
    if recording.duration < EPOCH_SECONDS:
        raise _too_short(path, recording.duration)
    channel_map = map_recording(recording, options.montage, options.scoring, options.look_for_scoring)
    channel_map, traces = load_living(recording, channel_map, options.channels)
    if not traces and options.channels is not None:  # what there is instead is told, and a scoring may be enough
        channel_map, traces = load_living(recording, channel_map)
    if not traces:
        raise _no_signal(path, channel_map)
    study = prepare(recording, channel_map, traces)
    if recording.gaps:
        study = replace(study, repairs=(*study.repairs, _gap_note(recording.gaps)))
    return study, traces


def _no_signal(path: Path, channel_map: ChannelMap) -> StudyError:
    """Say what there is instead of a signal that can be used, and why what comes near is not taken."""
    labels = ", ".join(f"'{label}'" for label in channel_map.unused) or "none"
    near = dict.fromkeys(source.reason for source in channel_map.every if "'" in source.reason)
    because = f" ({'; '.join(near)})" if near else ""
    what = f"{path} has no signal that sleepcli can use{because}; its signals are: {labels}."
    return StudyError(what, "Name its channels with --montage.")


def _from_array(path: Path, options: StudyOptions) -> PreparedStudy:
    try:
        array = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise StudyError(f"{path} is not a readable .npy file.", "Give a numeric array of [N, 10, 1920].") from error
    return prepared_from_array(array, options.study_id or path.stem)


def _with_scoring(study: PreparedStudy, path: Path, options: StudyOptions) -> PreparedStudy:
    """Attach the scoring that was given, or else the one found beside the study; a store brings its own."""
    if options.scoring is not None:
        scoring = read_scoring(options.scoring, study.start, study.n_epochs)
        return _lit(replace(study, scoring=_fitted(scoring, study.n_epochs)), path, options)
    if not options.look_for_scoring:
        return _lit(replace(study, scoring=None), path, options)
    found = find_scoring(path) if study.scoring is None else None
    if found is None:
        return _lit(study, path, options)
    try:
        scoring = read_scoring(found, study.start, study.n_epochs)
    except StudyError as error:
        note = f"the scoring {found.name} beside the study does not fit and was not used: {error.message}"
        return _lit(replace(study, repairs=(*study.repairs, note)), path, options)
    return _lit(replace(study, scoring=_fitted(scoring, study.n_epochs)), path, options)


def _lit(study: PreparedStudy, path: Path, options: StudyOptions) -> PreparedStudy:
    """Set lights off and on as the caller, the scoring, or else the recording's own annotations give them."""
    annotated = lights_of(path) if options.look_for_scoring else (None, None)
    return lit(study, (options.lights_off, options.lights_on), annotated)


def _fitted(scoring: Scoring, n_epochs: int) -> Scoring:
    """Give a scoring as many stages as the study has whole epochs."""
    stages = (*scoring.stages[:n_epochs], *(UNSCORED,) * (n_epochs - len(scoring.stages)))
    return replace(scoring, stages=stages)


def _gap_note(gaps: Sequence[Gap]) -> str:
    seconds = sum(gap.duration for gap in gaps)
    count = "one gap" if len(gaps) == 1 else f"{len(gaps)} gaps"
    return f"Nothing was recorded for {seconds:g} s in {count}; epochs without a signal are not scored."


def _too_short(path: Path, seconds: float) -> StudyError:
    return StudyError(
        f"{path} holds {seconds:.0f} s of signal, less than one epoch of {EPOCH_SECONDS} s.",
        "Give a longer recording.",
    )
