"""The signals of one epoch, as they were recorded, for a drawing."""

from collections.abc import Collection
from pathlib import Path

import numpy as np

from core.errors import UsageError
from core.psg.mapping import map_recording
from core.psg.montage import Montage
from core.psg.preprocess import EPOCH_SECONDS, Trace, load_traces, prepared_from_array, traces_of
from core.psg.recording import open_recording
from core.psg.store import is_store, open_store
from core.psg.stretch import stretch


def excerpt(
    path: Path, epoch: int, channels: Collection[str] | None = None, montage: Montage | None = None
) -> dict[str, Trace]:
    """Read the channels of one epoch.

    Parameters
    ----------
    path
        A recording, a prepared study's folder, or a .npy of [N, 10, 1920].
    epoch
        Index from 0.
    channels
        Those that are wanted; None for all.
    montage
        Channel assignments that go before the resolver's own.

    Returns
    -------
    dict
        Channel name to its samples of that epoch: at the native rate and in the canonical unit from a recording, at
        64 Hz from a prepared study.

    Raises
    ------
    UsageError
        The study has no such epoch.
    StudyError
        The file cannot be read.
    """
    onset = epoch * EPOCH_SECONDS
    if is_store(path) or path.suffix.lower() == ".npy":
        return _prepared(path, epoch, channels)
    recording = open_recording(path)
    if not 0 <= onset <= recording.duration - EPOCH_SECONDS + 1e-3:
        raise _none(path, epoch, int(recording.duration // EPOCH_SECONDS))
    part = stretch(recording, onset, EPOCH_SECONDS)
    return load_traces(part, map_recording(part, montage), channels)


def _prepared(path: Path, epoch: int, channels: Collection[str] | None) -> dict[str, Trace]:
    if is_store(path):
        study = open_store(path)
    else:
        study = prepared_from_array(np.load(path, mmap_mode="r", allow_pickle=False), path.stem)
    if not 0 <= epoch < study.n_epochs:
        raise _none(path, epoch, study.n_epochs)
    found = {}
    for name, trace in traces_of(study).items():
        width = round(trace.rate * EPOCH_SECONDS)
        if channels is None or name in channels:
            found[name] = Trace(name, trace.samples[epoch * width : (epoch + 1) * width], trace.rate)
    return found


def _none(path: Path, epoch: int, count: int) -> UsageError:
    return UsageError(f"{path.name} has no epoch {epoch}.", f"Its epochs are 0 to {count - 1}.")
