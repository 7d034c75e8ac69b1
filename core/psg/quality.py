"""States by channel and epoch: whether there is a signal, and whether a number may be measured on it.

Thresholds are relative to the recording's own usual level, so that a recorder's gain does not matter, and are
derived where they stand. Source of the half-epoch rule: the AASM Manual counts an epoch by its greater part.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from enum import IntEnum
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from core.psg.channels import CHANNELS
from core.psg.runs import runs

if TYPE_CHECKING:
    from core.psg.preprocess import Trace

EPOCH_SECONDS = 30


class State(IntEnum):
    """State of a channel in an epoch.

    A number may be measured where ``usable``: OK, and MAINS, whose line at 50 or 60 Hz lies outside every band that is
    measured. CLIPPED is not: its shape (flow flatness, slow-wave amplitude, band power) would be an invention. A
    model may see a signal where ``seen``: also CLIPPED and ARTEFACT, since movement is evidence of being awake.
    """

    OK = 0
    MISSING = 1
    FLAT = 2
    CLIPPED = 3
    GAP = 4
    DISCONNECTED = 5
    MAINS = 6
    ARTEFACT = 7

    @property
    def usable(self) -> bool:
        """Whether a number may be measured on the signal."""
        return self in (State.OK, State.MAINS)

    @property
    def seen(self) -> bool:
        """Whether a model may see the signal."""
        return self not in UNSEEN


UNSEEN = (State.MISSING, State.FLAT, State.GAP, State.DISCONNECTED)
USABLE = (State.OK, State.MAINS)

_MAJORITY = 0.5
_LEAST_STRETCH = 2.0  # s; between gaps, shorter pieces show neither a delta wave nor a heart's rhythm
# Saturation that is one and the same number for an hour is a default, not a finger.
_STUCK_EPOCHS = 120
# Quiet against the recording's usual epoch: 1 % is −40 dB, far below a gain step of −20 dB, and above an input that
# is shorted.
_QUIET = 0.01
# Breathing stops for up to about two minutes in the longest apneas; what is silent for longer is a sensor.
_SILENT_EPOCHS = {"effort": 6, "airflow": 6}
# A signal at its rail for 5 % of an epoch (1.5 s) has lost the shape of its largest waves; R peaks that touch the
# rail (2 %) have not.
_CLIPPED_SHARE = 0.05
# Peak-to-peak of a second (breathing: of an epoch) against the usual one, above which it is movement or a loose
# electrode. Slow waves stand 4 times above waking EEG, blinks 6 times above sleeping EOG, waking chin tone 40 times
# above atonia.
_EXCESS = {"eeg": 12.0, "eog": 15.0, "emg": 150.0, "ecg": 8.0, "effort": 25.0, "airflow": 25.0} | dict.fromkeys(
    ("leg", "snore", "motion"),
    1e3,  # at rest for most of the night: what is recorded there stands far above the usual
)
# Above half, the line is the largest part of the signal; above 99 % it is ten times the signal, as on an electrode
# that is off.
_MAINS_SHARE, _OPEN_SHARE = 0.5, 0.99
# What an electrode that is off leaves behind. Its amplifier's noise is white; the brain's and the eyes' signal is not:
# its density at 1.5-4 Hz stands 6 and more times above that at 15-30 Hz (in waking epochs with muscle over them as
# little as 1, the density of white noise). So white and quiet, or white beside a line that is most of the power, is
# nobody's; white alone may be muscle.
_WHITE = 2.5
_SLOW_BAND, _FAST_BAND = (1.5, 4.0), (15.0, 30.0)  # Hz
# Of the lively epochs (90th percentile). The quietest sleep is above a third of them; turned down by 20 dB, 0.03 to
# 0.05, which muscle lifts before it makes it white.
_NOISE = 0.04
# A muscle's signal is itself white. A chin at rest in REM sleep stays above a fortieth of waking tone and, at any usual
# gain, above 0.1 µV; an open, shorted input does not. Where nothing else is left to compare with, noise is told by
# its constancy: no muscle keeps its level within a tenth.
_MUSCLE_NOISE, _MUSCLE_FLOOR = 0.03, 0.1  # of the lively epochs; µV
_CONSTANT = {"emg": 1.1, "eeg": 1.3, "eog": 1.3}  # 90th over 10th percentile of the epochs' spread
_SCALP_FLOOR = 0.5
"""µV (standard deviation of an epoch): no EEG or EOG of a living head is that small; an amplifier's input noise is."""
_FEWEST_CONSTANT, _MOSTLY = 10, 0.95  # epochs; share of them that has to be white
# The line lies inside the chin's band of 10 to 100 Hz: where it is nine tenths, three times all muscle, one of the two
# electrodes is off (they no longer share the hum) and what a notch leaves is not tone.
_CHIN_OPEN_SHARE = 0.9
_CHUNK = 64  # epochs at a time, which bounds memory


@dataclass(frozen=True)
class _Epochs:
    """Statistics of every epoch of a channel; arrays ``[N]`` or ``[N, blocks]``."""

    missing: NDArray[np.float32]  # share of samples that are NaN
    spread: NDArray[np.float32]  # standard deviation
    swing: NDArray[np.float32]  # [N, blocks] peak-to-peak; NaN where a block has no sample
    clipped: NDArray[np.float32]  # share of samples that rest at a rail
    mains: NDArray[np.float32]  # share of power at 50 or 60 Hz


def assess(traces: "Mapping[str, Trace]", n_epochs: int, each: Callable[..., Iterable[Any]] = map) -> NDArray[np.uint8]:
    """Judge every channel in every epoch.

    Parameters
    ----------
    traces
        Channel name to its trace at its native rate.
    n_epochs
        Number of 30-s epochs.
    each
        What goes over the channels, as ``map`` does; that of a pool judges several at a time.

    Returns
    -------
    array
        ``[N, 11]`` uint8 of ``State`` in the order of ``CHANNELS``.
    """
    states = np.full((n_epochs, len(CHANNELS)), State.MISSING, dtype=np.uint8)
    if n_epochs == 0:
        return states
    there = [(column, channel) for column, channel in enumerate(CHANNELS) if channel.name in traces]
    judged = each(lambda one: assess_channel(traces[one[1].name], n_epochs, one[1].kind), there)
    for (column, _), found in zip(there, judged, strict=True):
        states[:, column] = found
    return _probe_off(states)


def assess_channel(trace: "Trace", n_epochs: int, kind: str) -> NDArray[np.uint8]:
    """Judge one channel of a kind (see ``core.psg.channels.Channel``) in every epoch, ``[N]`` uint8 of ``State``."""
    if kind in ("position", "spo2"):
        return _slow_states(trace, n_epochs, kind)
    epochs = _statistics(trace, n_epochs, kind)
    states = _wave_states(epochs, kind)
    detached = _detached(trace, epochs, kind) & (states != State.GAP) & (states != State.FLAT)
    states[detached] = State.DISCONNECTED
    return states


def _probe_off(states: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Tell an oximeter without a finger from a gap of the whole recording."""
    names = [channel.name for channel in CHANNELS]
    column = names.index("SPO2")
    others = np.delete(states, column, axis=1)
    recorded = ((others != State.GAP) & (others != State.MISSING)).any(axis=1)
    silent = (states[:, column] == State.GAP) & recorded
    states[silent, column] = State.DISCONNECTED
    return states


def epoch_blocks(samples: NDArray[np.float32], rate: float, n_epochs: int) -> NDArray[np.float32]:
    """Cut a trace into epochs.

    Parameters
    ----------
    samples
        1-D trace.
    rate
        Its sampling rate in Hz, whole or not.
    n_epochs
        Number of epochs; what the trace does not cover is NaN.

    Returns
    -------
    array
        ``[N, floor(30 × rate)]`` float32, a view where the trace allows it. Epochs of a trace slower than one sample an
        epoch hold the sample before.
    """
    exact = EPOCH_SECONDS * rate
    width = max(1, int(exact + 1e-6))
    if abs(exact - width) < 1e-6:
        if samples.size < n_epochs * width:
            samples = np.concatenate([samples, np.full(n_epochs * width - samples.size, np.nan, dtype=np.float32)])
        return samples[: n_epochs * width].reshape(n_epochs, width)
    first = np.floor(np.arange(n_epochs) * exact + 1e-6).astype(np.int64)
    index = first[:, None] + np.arange(width)
    out = samples[np.minimum(index, samples.size - 1)] if samples.size else np.empty(index.shape, dtype=np.float32)
    out[index >= samples.size] = np.nan
    return out


def _slow_states(trace: "Trace", n_epochs: int, kind: str) -> NDArray[np.uint8]:
    """Position and saturation: a value or none. They may stay the same all night."""
    blocks = epoch_blocks(trace.samples, trace.rate, n_epochs)
    good = np.isfinite(blocks) & ((blocks >= 0) if kind == "position" else True)
    share = good.mean(axis=1)
    states = np.where(share > _MAJORITY, State.OK, State.GAP).astype(np.uint8)
    values = trace.samples[np.isfinite(trace.samples)]
    if kind == "spo2" and n_epochs >= _STUCK_EPOCHS and values.size and float(values.min()) == float(values.max()):
        states[states == State.OK] = State.FLAT
    if kind == "position":
        known = np.isfinite(blocks).mean(axis=1) > _MAJORITY
        states[(states == State.GAP) & known] = State.DISCONNECTED
    return states


def _statistics(trace: "Trace", n_epochs: int, kind: str) -> _Epochs:
    blocks = epoch_blocks(trace.samples, trace.rate, n_epochs)
    seconds = EPOCH_SECONDS if kind not in ("effort", "airflow") and trace.rate >= 8 else 1
    width = blocks.shape[1] // seconds
    rails = _rails(trace.samples)
    out = _Epochs(
        np.zeros(n_epochs, np.float32),
        np.zeros(n_epochs, np.float32),
        np.zeros((n_epochs, seconds), np.float32),
        np.zeros(n_epochs, np.float32),
        np.zeros(n_epochs, np.float32),
    )
    for start in range(0, n_epochs, _CHUNK):
        rows = slice(start, min(start + _CHUNK, n_epochs))
        part = np.ascontiguousarray(blocks[rows])
        gone: Any = None
        if not np.isfinite(part.sum(dtype=np.float64)):
            missing = ~np.isfinite(part)
            out.missing[rows] = _lost(missing, round(_LEAST_STRETCH * trace.rate))
            gone = np.all(missing[:, : width * seconds].reshape(-1, seconds, width), axis=2)
            part = _without_gaps(part, missing)
        out.spread[rows] = part.std(axis=1, dtype=np.float32)
        cut = part[:, : width * seconds].reshape(part.shape[0], seconds, width)
        swing = cut.max(axis=2) - cut.min(axis=2)
        out.swing[rows] = swing if gone is None else np.where(gone, np.float32(np.nan), swing)
        out.clipped[rows] = _clipped(part, rails)
        if seconds > 1 and trace.rate >= 110:
            out.mains[rows] = _mains(np.ascontiguousarray(cut[:, ::3]), trace.rate)  # every third second
    return out


def _lost(missing: NDArray[np.bool_], least: int) -> NDArray[np.float64]:
    """Return each epoch's share of samples that are missing or stand in a stretch of fewer than so many samples."""
    share = missing.mean(axis=1)
    for row in np.flatnonzero((share > 0) & (share < 1)).tolist():
        short = sum(stop - start for start, stop in runs(~missing[row]) if stop - start < least)
        share[row] += short / missing.shape[1]
    return np.asarray(share, np.float64)


def _without_gaps(part: NDArray[np.float32], missing: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Put each epoch's mean where samples are missing."""
    total = np.where(missing, np.float32(0), part).sum(axis=1, keepdims=True, dtype=np.float64)
    mean = total / np.maximum((~missing).sum(axis=1, keepdims=True), 1)
    return np.where(missing, mean, part).astype(np.float32)


def _rails(samples: NDArray[np.float32]) -> tuple[float, float]:
    finite = samples[np.isfinite(samples)] if not np.isfinite(samples.sum()) else samples
    return (float(finite.min()), float(finite.max())) if finite.size else (0.0, 0.0)


def _clipped(part: NDArray[np.float32], rails: tuple[float, float]) -> NDArray[np.float32]:
    """Return the share of samples that rest at the recording's extreme with a neighbour there too.

    A single sample at the extreme is just the largest one.
    """
    low, high = rails
    if high <= low:
        return np.zeros(part.shape[0], dtype=np.float32)
    share = np.zeros(part.shape[0], dtype=np.float32)
    for at in (part >= high, part <= low):
        if at.any():
            share += (at[:, 1:] & at[:, :-1]).mean(axis=1, dtype=np.float32)
    return share


def _mains(cut: NDArray[np.float32], rate: float) -> NDArray[np.float32]:
    """Return the median over the seconds of an epoch of the share of power at 50 or 60 Hz."""
    width = cut.shape[2]
    phase = 2 * np.pi * np.arange(width) / rate
    centred = cut - cut.mean(axis=2, keepdims=True)
    power = np.einsum("esw,esw->es", centred, centred) / width
    best = np.zeros(power.shape, dtype=np.float32)
    for line in (50.0, 60.0):
        basis = np.stack([np.cos(line * phase), np.sin(line * phase)], axis=1).astype(np.float32)
        part = centred @ basis * np.float32(2 / width)
        best = np.maximum(best, (part**2).sum(axis=2) / 2)
    with np.errstate(divide="ignore", invalid="ignore"):
        share = np.where(power > 0, best / power, 0.0)
    return np.median(share, axis=1).astype(np.float32)


def _wave_states(epochs: _Epochs, kind: str) -> NDArray[np.uint8]:
    states = np.full(epochs.missing.shape, State.OK, dtype=np.uint8)
    recorded = epochs.missing <= _MAJORITY
    moving = recorded & (epochs.spread > 0)
    moving &= epochs.spread > _QUIET * _lively(epochs)  # what is off for half the night is not the usual
    usual = float(np.median(epochs.spread[moving])) if moving.any() else 0.0
    swings = epochs.swing[moving]
    swings = swings[np.isfinite(swings) & (swings > 0)]
    usual_swing = float(np.median(swings)) if swings.size else 0.0

    excess = _share(epochs.swing > _EXCESS[kind] * usual_swing, epochs.swing) > _MAJORITY
    states[excess & (usual_swing > 0)] = State.ARTEFACT
    states[epochs.mains > _MAINS_SHARE] = State.MAINS
    states[epochs.mains > _OPEN_SHARE] = State.DISCONNECTED
    states[epochs.clipped >= _CLIPPED_SHARE] = State.CLIPPED
    states[epochs.clipped > _MAJORITY] = State.DISCONNECTED

    still = _share(epochs.swing <= 0, epochs.swing) > _MAJORITY
    constant = epochs.spread <= np.float32(1e-6) * usual
    quiet = (epochs.spread < _QUIET * usual) & ~constant
    if kind in _SILENT_EPOCHS and usual > 0:
        silent = _long_runs(constant | quiet | still, _SILENT_EPOCHS[kind])
        states[silent & (constant | still)] = State.FLAT
        states[silent & ~(constant | still)] = State.DISCONNECTED
    else:
        states[quiet] = State.DISCONNECTED
        states[constant | still] = State.FLAT
    states[~recorded] = State.GAP
    return states


def _lively(epochs: _Epochs) -> float:
    """Return the spread that a tenth of the recorded epochs exceeds."""
    moving = (epochs.missing <= _MAJORITY) & (epochs.spread > 0)
    return float(np.percentile(epochs.spread[moving], 90)) if moving.any() else 0.0


def _detached(trace: "Trace", epochs: _Epochs, kind: str) -> NDArray[np.bool_]:
    """Find the epochs of an electrode that show an amplifier's noise or the line, and no body.

    An amplitude alone decides nothing: a gain step of −20 dB, and an array without units, stay what they are.
    """
    moving = (epochs.missing <= _MAJORITY) & (epochs.spread > 0)
    if kind not in _CONSTANT or not moving.any():
        return np.zeros(moving.shape, dtype=bool)
    lively = _lively(epochs)
    low, high = np.percentile(epochs.spread[moving], [10, 90])
    constant = moving.sum() >= _FEWEST_CONSTANT and high <= _CONSTANT[kind] * low
    if kind == "emg":
        floored = epochs.spread < _MUSCLE_FLOOR
        noise = floored & ((epochs.spread < _MUSCLE_NOISE * lively) | constant)
        return np.asarray(moving & (noise | (epochs.mains > _CHIN_OPEN_SHARE)), dtype=np.bool_)
    constant = constant and high < _SCALP_FLOOR  # white noise of a plausible size may be an array or a test signal
    suspect = moving & (constant | (epochs.spread < _NOISE * lively) | (epochs.mains > _MAINS_SHARE))
    found = np.zeros(moving.shape, dtype=bool)
    found[suspect] = _is_white(trace, np.flatnonzero(suspect), moving.size)
    if constant and found[moving].mean() <= _MOSTLY:
        return found & ((epochs.spread < _NOISE * lively) | (epochs.mains > _MAINS_SHARE))
    return found


def _is_white(trace: "Trace", rows: NDArray[np.intp], n_epochs: int) -> NDArray[np.bool_]:
    """Tell which epochs have about as much density at 1.5 to 4 Hz as at 15 to 30 Hz; none below 64 Hz."""
    white = np.zeros(rows.shape, dtype=bool)
    width = round(2 * trace.rate)
    if trace.rate < 64:
        return white
    blocks = epoch_blocks(trace.samples, trace.rate, n_epochs)
    window = np.hanning(width).astype(np.float32)
    frequency = np.fft.rfftfreq(width, 1 / trace.rate)
    slow, fast = ((frequency >= low) & (frequency <= high) for low, high in (_SLOW_BAND, _FAST_BAND))
    for start in range(0, rows.size, _CHUNK):
        part = blocks[rows[start : start + _CHUNK]]
        part = _without_gaps(part, ~np.isfinite(part))
        cut = part[:, : part.shape[1] // width * width].reshape(part.shape[0], -1, width)
        power = np.abs(np.fft.rfft((cut - cut.mean(axis=2, keepdims=True)) * window, axis=2)) ** 2
        density = np.median(power, axis=1)
        white[start : start + _CHUNK] = density[:, slow].mean(axis=1) < _WHITE * density[:, fast].mean(axis=1)
    return white


def _share(true: NDArray[np.bool_], swing: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the share of an epoch's blocks for which something holds, among those that have samples."""
    there = np.isfinite(swing)
    share = (true & there).sum(axis=1) / np.maximum(there.sum(axis=1), 1)
    return np.asarray(share, dtype=np.float32)


def _long_runs(mask: NDArray[np.bool_], least: int) -> NDArray[np.bool_]:
    """Keep the runs of True that are long, or that fill the whole recording."""
    out = np.zeros_like(mask)
    for start, stop in runs(mask):
        if stop - start >= least or stop - start == mask.size:
            out[start:stop] = True
    return out
