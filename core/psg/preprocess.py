"""From a recording's signals to the models' input: canonical units, one rate, one band, one scale. Pure functions."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from core.errors import StudyError
from core.psg.channels import CHANNEL_BY_NAME, CHANNELS, FURTHER_CHANNELS, MODEL_CHANNELS
from core.psg.filters import band_pass, bridge, hold, nearest, to_rate
from core.psg.positions import positions
from core.psg.quality import UNSEEN, State, assess, assess_channel
from core.psg.store import PreparedStudy
from core.psg.units import microvolts, not_volts, pulse_rate, saturation, voltage_factor

if TYPE_CHECKING:
    from core.psg.channels import Channel, ChannelMap, ChannelSource
    from core.psg.recording import Recording

EPOCH_SECONDS = 30
MODEL_RATE = 64  # Hz
EPOCH_SAMPLES = EPOCH_SECONDS * MODEL_RATE  # 1920
CLIP = 6.0  # standard deviations
AT_ONCE = 2  # channels prepared at a time; each takes memory for two copies of a signal
SPO2_OFFSET, SPO2_SCALE = 90.0, 10.0
_CHUNK = 16  # epochs at a time, which in double precision fit a processor's second cache
_STATE_COLUMN = {channel.name: column for column, channel in enumerate(CHANNELS)}


@dataclass(frozen=True)
class Trace:
    """One channel of a whole recording.

    Parameters
    ----------
    channel
        Name of the channel.
    samples
        1-D float32 from the recording's start, in the channel's canonical unit: EEG, EOG, EMG µV; ECG mV; SPO2 %; PULSE
        bpm; POS the model's code; effort and airflow as declared. NaN in gaps and where there is no value.
    rate
        Native sampling rate in Hz.
    repairs
        What was decided against, or without, the header, in words.
    """

    channel: str
    samples: NDArray[np.float32]
    rate: float
    repairs: tuple[str, ...] = ()


def load_traces(
    recording: Recording, channel_map: ChannelMap, channels: Collection[str] | None = None
) -> dict[str, Trace]:
    """Read the channels that a recording has.

    Parameters
    ----------
    recording
        The open recording; only the signals of the map are read.
    channel_map
        The map of its signals.
    channels
        The channels that are needed; None for all. The others are not read.

    Returns
    -------
    dict
        Channel name to trace, for the channels that are there.
    """
    wanted = [source for source in channel_map.present() if channels is None or source.target in channels]
    return {source.target: load_trace(recording, source, channel_map) for source in wanted}


def load_trace(recording: Recording, source: ChannelSource, channel_map: ChannelMap) -> Trace:
    """Read one channel from its source, in its canonical unit; the map gives the position codes."""
    samples = recording.read(source.signals[0])
    if len(source.signals) == 2:
        samples = samples - recording.read(source.signals[1])
    kind = CHANNEL_BY_NAME[source.target].kind
    repair = ""
    if kind in ("eeg", "eog", "emg", "ecg", "leg"):
        stated = voltage_factor(source.unit) if source.unit_is_certain else None
        muscle = "emg" if kind == "leg" else kind
        factor, repair = (stated, "") if stated else microvolts(samples, source.rate, muscle, source.unit)
        factor *= 1e-3 if kind == "ecg" else 1.0
        if factor != 1.0:
            samples = samples * np.float32(factor)
    elif kind in ("spo2", "pulse", "position"):
        samples, repair = not_volts(samples, source.unit)
        if kind == "spo2":
            samples, second = saturation(samples)
        elif kind == "pulse":
            samples, second = pulse_rate(samples, source.rate)
        else:
            samples, second = positions(samples, channel_map.position_codes, channel_map.positive_side)
        repair = "; ".join(part for part in (repair, second) if part)
    name = " minus ".join(f"'{label.strip()}'" for label in source.labels)
    return Trace(source.target, samples, source.rate, (f"{source.target} ({name}): {repair}",) if repair else ())


def prepare(recording: Recording, channel_map: ChannelMap, traces: Mapping[str, Trace]) -> PreparedStudy:
    """Make the models' input.

    Parameters
    ----------
    recording
        Names, start, hash and length of the study; its signals are not read again.
    channel_map
        The map of its signals.
    traces
        What ``load_traces`` returned.

    Returns
    -------
    PreparedStudy
        Without measurements and scoring. An incomplete last epoch is left out.

    Raises
    ------
    StudyError
        If the recording is shorter than one epoch, or has none of the channels.
    """
    n_epochs = _whole_epochs(recording, channel_map, traces)
    signals = np.empty((n_epochs, len(MODEL_CHANNELS), EPOCH_SAMPLES), dtype=np.float32)
    extras: dict[str, NDArray[np.float32]] = {}

    def scaled(channel: Channel, judged: NDArray[np.uint8]) -> tuple[float, float]:
        epochs, offset, scale = _channel(channel, traces, judged, n_epochs)
        if channel.name in MODEL_CHANNELS:
            signals[:, MODEL_CHANNELS.index(channel.name)] = epochs
        else:
            extras[channel.name] = epochs
        return offset, scale

    more = [channel for channel in FURTHER_CHANNELS if channel.name in traces]
    with ThreadPoolExecutor(AT_ONCE, "preparing") as pool:
        digest = pool.submit(lambda: recording.content_hash)
        states = assess(traces, n_epochs, pool.map)
        further = list(pool.map(lambda channel: assess_channel(traces[channel.name], n_epochs, channel.kind), more))
        scales = list(pool.map(scaled, [*CHANNELS, *more], [*states.T, *further]))
    names = [channel.name for channel in (*CHANNELS, *more)]
    repairs = (*recording.repairs, *(repair for trace in traces.values() for repair in trace.repairs))
    return PreparedStudy(
        study=recording.study,
        start=recording.start,
        source_hash=digest.result(),
        signals=signals,
        extras={name: extras[name] for name in names if name in extras},
        offset={name: offset for name, (offset, _) in zip(names, scales, strict=True)},
        scale={name: scale for name, (_, scale) in zip(names, scales, strict=True)},
        states=states,
        channel_map=map_rows(channel_map),
        repairs=repairs,
        source_format=recording.format,
        further_states={channel.name: found for channel, found in zip(more, further, strict=True)},
    )


def _whole_epochs(recording: Recording, channel_map: ChannelMap, traces: Mapping[str, Trace]) -> int:
    n_epochs = int((recording.duration + 1e-3) // EPOCH_SECONDS)
    if n_epochs == 0:
        raise StudyError(
            f"{recording.study}: the recording lasts {recording.duration:.1f} s, less than one epoch.",
            f"An epoch has {EPOCH_SECONDS} s; give a longer recording.",
        )
    if set(traces) <= {channel.name for channel in FURTHER_CHANNELS}:
        labels = ", ".join(f"'{label.strip()}'" for label in channel_map.unused[:12]) or "no signals"
        raise StudyError(
            f"{recording.study}: no signal is one of the model's channels; found {labels}.", "Name them with a montage."
        )
    return n_epochs


def map_rows(channel_map: ChannelMap) -> dict[str, Any]:
    """Return the JSON form of a channel map.

    Parameters
    ----------
    channel_map
        The map.

    Returns
    -------
    dict
        ``channels``: a row a channel (auxiliary ones where the file has them); ``unused``: labels.
    """
    rows = []
    for source in channel_map.shown():
        row = asdict(source)
        row["labels"], row["signals"] = list(source.labels), list(source.signals)
        rows.append(row)
    return {"channels": rows, "unused": list(channel_map.unused)}


def _channel(
    channel: Channel, traces: Mapping[str, Trace], states: NDArray[np.uint8], n_epochs: int
) -> tuple[NDArray[np.float32], float, float]:
    """Prepare one channel: ``[N, 1920]``, its offset and its scale."""
    trace = traces.get(channel.name)
    shape = (n_epochs, EPOCH_SAMPLES)
    if channel.kind == "position":
        if trace is None or not trace.samples.size:
            return np.full(shape, -1.0, dtype=np.float32), 0.0, 1.0
        codes = nearest(trace.samples, trace.rate, MODEL_RATE, n_epochs * EPOCH_SAMPLES)
        return np.nan_to_num(codes, nan=-1.0).reshape(shape), 0.0, 1.0
    if channel.kind == "spo2":
        if trace is None or not np.isfinite(trace.samples).any():
            return np.zeros(shape, dtype=np.float32), SPO2_OFFSET, SPO2_SCALE
        return _saturation(trace, states, n_epochs), SPO2_OFFSET, SPO2_SCALE
    if trace is None or not np.isfinite(trace.samples).any():
        return np.zeros(shape, dtype=np.float32), 0.0, 1.0
    return _wave(channel, trace, states, n_epochs)


def _saturation(trace: Trace, states: NDArray[np.uint8], n_epochs: int) -> NDArray[np.float32]:
    held = hold(trace.samples, trace.rate, MODEL_RATE, n_epochs * EPOCH_SAMPLES).reshape(n_epochs, EPOCH_SAMPLES)
    stored = (held - np.float32(SPO2_OFFSET)) / np.float32(SPO2_SCALE)
    stored[np.isin(states, UNSEEN)] = 0.0
    return np.asarray(np.nan_to_num(stored, nan=0.0), dtype=np.float32)


def _wave(
    channel: Channel, trace: Trace, states: NDArray[np.uint8], n_epochs: int
) -> tuple[NDArray[np.float32], float, float]:
    total = n_epochs * EPOCH_SAMPLES
    bridged, missing = bridge(trace.samples, trace.rate)
    samples = to_rate(bridged, trace.rate, MODEL_RATE, total)
    if missing is not None:
        missing = nearest(missing.astype(np.float32), trace.rate, MODEL_RATE, total) != 0.0
    end = min(total, round(trace.samples.size * MODEL_RATE / trace.rate))
    gap = missing if missing is not None else np.zeros(total, dtype=bool)
    gap[end:] = True
    if _is_constant(samples[~gap] if gap.any() else samples):
        return np.zeros((n_epochs, EPOCH_SAMPLES), dtype=np.float32), 0.0, 1.0
    epochs = band_pass(samples, gap, channel.band, MODEL_RATE).reshape(n_epochs, EPOCH_SAMPLES)
    gap = gap.reshape(n_epochs, EPOCH_SAMPLES)
    offset, scale = standard(epochs, gap, states)
    if scale == 0.0:
        return np.zeros_like(epochs), offset, 1.0
    epochs -= np.float32(offset)
    epochs /= np.float32(scale)
    np.clip(epochs, -CLIP, CLIP, out=epochs)
    epochs[gap] = 0.0
    return epochs, offset, scale


def _is_constant(samples: NDArray[np.float32]) -> bool:
    """Say whether a signal moves no more than the rounding of its numbers."""
    if not samples.size:
        return True
    low, high = float(samples.min()), float(samples.max())
    return high - low <= 1e-6 * max(abs(low), abs(high))


def standard(epochs: NDArray[np.float32], gap: NDArray[np.bool_], states: NDArray[np.uint8]) -> tuple[float, float]:
    """Measure mean and standard deviation over a recording, robust against artefact.

    Parameters
    ----------
    epochs
        ``[N, 1920]`` filtered samples.
    gap
        ``[N, 1920]`` True where nothing was recorded.
    states
        ``[N]`` states of the channel.

    Returns
    -------
    tuple of float
        Mean and standard deviation over the whole samples of usable epochs, those left out that move more than five
        times the usual epoch (sleep stages differ less), with their neighbours; over all recorded samples where no
        epoch is usable. The scale is 0 where nothing moves.
    """
    whole = ~gap.any(axis=1)
    chosen = np.isin(states, (State.OK, State.MAINS, State.CLIPPED)) & whole
    if not chosen.any():
        values = epochs[~gap]
        deviation = float(values.std(dtype=np.float64)) if values.size else 0.0
        return (float(values.mean(dtype=np.float64)) if values.size else 0.0), deviation
    mean, variance = _moments(epochs)
    spread = np.sqrt(variance)
    loud = (spread > 5.0 * np.median(spread[chosen])) | (states == State.ARTEFACT)
    loud[1:] |= loud[:-1].copy()  # a filter rings into the next epoch, and, run backwards, into the one before
    loud[:-1] |= loud[1:].copy()
    quiet = chosen & ~loud
    taken = quiet if quiet.any() else chosen
    middle = float(mean[taken].mean())
    return middle, float(np.sqrt((variance[taken] + (mean[taken] - middle) ** 2).mean()))


def _moments(epochs: NDArray[np.float32]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return mean and variance of every epoch, a few epochs at a time in double precision."""
    mean, variance = np.empty(epochs.shape[0]), np.empty(epochs.shape[0])
    for start in range(0, epochs.shape[0], _CHUNK):
        part = epochs[start : start + _CHUNK].astype(np.float64)
        mean[start : start + _CHUNK] = part.mean(axis=1)
        variance[start : start + _CHUNK] = part.var(axis=1)
    return mean, variance


def traces_of(study: PreparedStudy) -> dict[str, Trace]:
    """Make traces from a prepared study, at 64 Hz.

    Parameters
    ----------
    study
        A prepared study.

    Returns
    -------
    dict
        Channel name to trace in canonical units where offset and scale are known; NaN in epochs without a signal.
    """
    traces: dict[str, Trace] = {}
    for channel in (*CHANNELS, *FURTHER_CHANNELS):
        states = study.states_of(channel.name)
        if (states == State.MISSING).all():
            continue
        name = channel.name
        stored = study.extras.get(name) if name not in MODEL_CHANNELS else study.signals[:, MODEL_CHANNELS.index(name)]
        if stored is None:
            continue
        samples = np.asarray(stored, dtype=np.float32) * np.float32(study.scale.get(name, 1.0))
        samples += np.float32(study.offset.get(name, 0.0))
        without = (
            (State.MISSING, State.GAP, State.DISCONNECTED) if channel.kind != "position" else (State.MISSING, State.GAP)
        )
        samples[np.isin(states, without)] = np.nan
        traces[name] = Trace(name, samples.reshape(-1), float(MODEL_RATE))
    return traces


def _check_shape(array: NDArray[Any], study: str) -> None:
    wanted = (len(MODEL_CHANNELS), EPOCH_SAMPLES)
    if array.ndim != 3 or array.shape[1:] != wanted or array.shape[0] == 0 or array.dtype.kind not in "fiu":
        shape = "x".join(str(size) for size in array.shape)
        raise StudyError(
            f"{study}: the array is {array.dtype} of {shape}, not numbers of Nx{wanted[0]}x{wanted[1]}.",
            f"Give epochs of 30 s at {MODEL_RATE} Hz with the channels {', '.join(MODEL_CHANNELS)}.",
        )


def prepared_from_array(array: NDArray[Any], study: str) -> PreparedStudy:
    """Take an array as prepared; nothing is normalised again.

    Parameters
    ----------
    array
        ``[N, 10, 1920]`` in the order of ``MODEL_CHANNELS``. A channel of zeros (POS: of −1) is missing.
    study
        Name of the study.

    Returns
    -------
    PreparedStudy
        With states judged on the array, and SpO2 missing.

    Raises
    ------
    StudyError
        If the shape or type is another.
    """
    _check_shape(array, study)
    signals = np.ascontiguousarray(array, dtype=np.float32)
    digest = hashlib.sha256(signals.data).hexdigest()
    repairs: tuple[str, ...] = ()
    if not np.isfinite(signals).all():
        signals, repairs = (
            np.nan_to_num(signals, nan=0.0, posinf=CLIP, neginf=-CLIP),
            ("values that are no numbers set to 0",),
        )
    pos = MODEL_CHANNELS.index("POS")
    absent = (signals == 0).all(axis=2)
    absent[:, pos] = (signals[:, pos] == -1).all(axis=1)
    traces = {
        name: Trace(name, signals[:, column].reshape(-1), float(MODEL_RATE))
        for column, name in enumerate(MODEL_CHANNELS)
        if not absent[:, column].all()
    }
    states = assess(traces, signals.shape[0])
    for column, name in enumerate(MODEL_CHANNELS):
        states[absent[:, column], _STATE_COLUMN[name]] = State.MISSING
    names = [channel.name for channel in CHANNELS]
    return PreparedStudy(
        study=study,
        start=None,
        source_hash=digest,
        signals=signals,
        extras={"SPO2": np.zeros((signals.shape[0], EPOCH_SAMPLES), dtype=np.float32)},
        offset=dict.fromkeys(names, 0.0) | {"SPO2": SPO2_OFFSET},
        scale=dict.fromkeys(names, 1.0) | {"SPO2": SPO2_SCALE},
        states=states,
        repairs=repairs,
        source_format="NPY",
    )
