"""Limb movements by rule, on the EMG of the legs (AASM Manual 2.6 VII; WASM 2016).

A movement begins where the rectified EMG stands 8 µV above the resting level and ends where it stays less than 2 µV
above it for half a second; it lasts 0.5 to 10 s. Movements of both legs that begin less than 5 s apart are one (AASM).
Those within half a second of the end of an apnea, a hypopnea or an arousal from breathing belong to that event.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage, signal

from core.language.zero_phase import zero_phase
from core.psg.preprocess import EPOCH_SECONDS, Trace
from core.psg.quality import USABLE, assess_channel
from core.psg.runs import runs
from core.psg.scoring import Event

LEGS = ("LEG_L", "LEG_R")
ONSET_UV, END_UV = 8.0, 2.0
"""µV above the resting level at which a movement begins, and under which it ends."""
END_SECONDS = 0.5
"""How long the level has to stay down at the end of a movement."""
SHORTEST, LONGEST = 0.5, 10.0
BOTH_SECONDS = 5.0
"""Onsets of both legs that are closer make one movement."""
BREATHING_SECONDS = 0.5
"""Around the end of a breathing event, a movement is a part of it."""
BREATHING = ("obstructive_apnea", "central_apnea", "mixed_apnea", "hypopnea", "rera")
GRID = 20
"""Values of the level in a second."""
SMOOTH_SECONDS = 0.25
"""The rectified EMG is averaged over this: shorter than any movement, longer than the waves of the EMG."""
REST_SECONDS = 120.0
REST_PERCENTILE = 20.0
"""The resting level is this percentile of the level in two minutes around: movements fill less of them."""
LEAST_RATE = 100.0
"""Hz: below it most of the EMG, which lies at 10 to 100 Hz, is not in the signal."""
HIGHEST_REST = 10.0
"""µV: above it a leg is not at rest (AASM: sensors are re-applied then), and nothing is measured."""


@dataclass(frozen=True)
class Limbs:
    """What the legs did."""

    events: tuple[Event, ...]
    """`limb_movement`, by onset."""
    followed: NDArray[np.bool_]
    """[N] epochs in which one leg at least could be measured."""


def measure_limbs(traces: Mapping[str, Trace], n_epochs: int, breathing: Sequence[Event] = ()) -> Limbs:
    """Find the limb movements of a night.

    Parameters
    ----------
    traces
        Channel name to trace, at native rates in µV.
    n_epochs
        Number of 30-s epochs.
    breathing
        Events of breathing, as far as they are known.
    """
    followed = np.zeros(n_epochs, bool)
    found: list[tuple[float, float]] = []
    for name in LEGS:
        trace = traces.get(name)
        if trace is None or trace.rate < LEAST_RATE:
            continue
        usable = np.isin(assess_channel(trace, n_epochs, "leg"), USABLE)
        level = leg_level(trace, n_epochs)
        rest = resting_level(level)
        usable &= np.median(rest.reshape(n_epochs, -1), axis=1) <= HIGHEST_REST
        followed |= usable
        found += _movements(level - rest, np.repeat(usable, EPOCH_SECONDS * GRID))
    ends = np.array([event.onset + event.duration for event in breathing if event.type in BREATHING])
    kept = [span for span in _joined(sorted(found)) if not _of_breathing(span, ends)]
    events = tuple(Event("limb_movement", round(start, 2), round(end - start, 2)) for start, end in kept)
    return Limbs(events, followed)


def leg_level(trace: Trace, n_epochs: int) -> NDArray[np.float64]:
    """Average the rectified EMG, [N x 600] µV, `GRID` values a second; gaps are at rest."""
    samples = np.nan_to_num(trace.samples, nan=0.0).astype(np.float64)
    high = min(100.0, 0.45 * trace.rate)
    sections = [signal.butter(2, (10.0, high), "bandpass", fs=trace.rate, output="sos")]
    for mains in (50.0, 60.0):
        if mains < 0.45 * trace.rate:
            sections.append(signal.tf2sos(*signal.iirnotch(mains, 15.0, fs=trace.rate)))
    rectified = np.abs(zero_phase(np.concatenate(sections), samples))
    smooth = ndimage.uniform_filter1d(rectified, max(1, round(SMOOTH_SECONDS * trace.rate)))
    size = n_epochs * EPOCH_SECONDS * GRID
    places = np.minimum(((np.arange(size) + 0.5) * trace.rate / GRID).astype(np.int64), len(smooth) - 1)
    return np.asarray(smooth[places], np.float64)


def resting_level(level: NDArray[np.float64]) -> NDArray[np.float64]:
    """Follow the level at rest, µV, of a level as `leg_level` gives it."""
    seconds = level[: len(level) // GRID * GRID].reshape(-1, GRID).mean(axis=1)
    slow = ndimage.percentile_filter(seconds, REST_PERCENTILE, size=min(len(seconds), round(REST_SECONDS)))
    return np.repeat(slow, GRID)


def _movements(above: NDArray[np.float64], usable: NDArray[np.bool_]) -> list[tuple[float, float]]:
    """Find the spans, in seconds, of one leg whose level stands `above` its rest, µV."""
    up = above >= END_UV
    low = ndimage.binary_closing(up, np.ones(round(END_SECONDS * GRID) + 1), border_value=0) | up
    spans = []
    for first, last in runs(low & usable):
        loud = np.flatnonzero(above[first:last] >= ONSET_UV)
        if len(loud):
            start, end = (first + loud[0]) / GRID, last / GRID
            if SHORTEST <= end - start <= LONGEST:
                spans.append((start, end))
    return spans


def _joined(spans: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """Make one of movements of both legs, of spans by onset."""
    found: list[tuple[float, float]] = []
    for start, end in spans:
        if found and start - found[-1][0] < BOTH_SECONDS and end - found[-1][0] <= LONGEST:
            found[-1] = (found[-1][0], max(end, found[-1][1]))
        else:
            found.append((start, end))
    return found


def _of_breathing(span: tuple[float, float], ends: NDArray[np.float64]) -> bool:
    start, end = span
    return bool(((start <= ends + BREATHING_SECONDS) & (end >= ends - BREATHING_SECONDS)).any())
