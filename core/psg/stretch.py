"""A stretch of a recording: the same signals between two moments, and nothing before or after them."""

import hashlib
from dataclasses import dataclass, replace
from datetime import timedelta

import numpy as np
from numpy.typing import NDArray

from core.psg.recording import Gap, Recording, SignalInfo


@dataclass(frozen=True)
class _StretchSource:
    """Reads a signal and gives the samples of the stretch."""

    whole: Recording
    """The recording."""
    bounds: tuple[tuple[int, int], ...]
    """First sample and the one after the last, by signal."""
    onset: float
    """Seconds from the recording's start."""
    duration: float
    """Seconds."""

    def read(self, index: int) -> NDArray[np.float32]:
        first, end = self.bounds[index]
        return self.whole.read(index)[first:end].copy()

    def annotations(self) -> list[tuple[float, float, str]]:
        end = self.onset + self.duration
        found = [a for a in self.whole.annotations if self.onset <= a.onset < end]
        return [(annotation.onset - self.onset, annotation.duration, annotation.text) for annotation in found]


class Stretch(Recording):
    """A recording cut to a stretch."""

    @property
    def content_hash(self) -> str:
        """SHA-256 of the labels, rates and start: the same for a file that grows, in hexadecimal."""
        said = [(signal.label, signal.rate) for signal in self.signals]
        return hashlib.sha256(f"{self.start} {said}".encode()).hexdigest()


def stretch(recording: Recording, onset: float, duration: float) -> Stretch:
    """Cut a recording.

    Parameters
    ----------
    recording
        The open recording; nothing of it is read here.
    onset, duration
        Seconds from its start; the stretch ends with the recording where that ends first.

    Returns
    -------
    Stretch
        With times from its own start and without the file's repairs.
    """
    duration = min(duration, recording.duration - onset)
    bounds = tuple(_bounds(signal, onset, duration) for signal in recording.signals)
    signals = tuple(
        replace(signal, n_samples=end - first) for signal, (first, end) in zip(recording.signals, bounds, strict=True)
    )
    return Stretch(
        study=recording.study,
        path=recording.path,
        format=recording.format,
        start=recording.start + timedelta(seconds=onset) if recording.start is not None else None,
        duration=duration,
        signals=signals,
        gaps=tuple(gap for whole in recording.gaps if (gap := _clipped(whole, onset, duration)).duration > 0),
        repairs=(),
        source=_StretchSource(recording, bounds, onset, duration),
    )


def _bounds(signal: SignalInfo, onset: float, duration: float) -> tuple[int, int]:
    first = min(round(onset * signal.rate), signal.n_samples)
    return first, min(round((onset + duration) * signal.rate), signal.n_samples)


def _clipped(gap: Gap, onset: float, duration: float) -> Gap:
    first = max(gap.onset, onset)
    end = min(gap.onset + gap.duration, onset + duration)
    return Gap(first - onset, end - first)
