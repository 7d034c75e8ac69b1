"""Signals that could stand for one channel: the first by its label, unless it is dead and another lives."""

from collections.abc import Collection
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from core.psg.channels import CHANNEL_BY_NAME, CHANNELS, ChannelMap, ChannelSource, resolve
from core.psg.montage import BY_MONTAGE
from core.psg.preprocess import Trace, load_trace

if TYPE_CHECKING:
    from core.psg.recording import Recording

EEG = ("EEG_C3", "EEG_C4")
WINDOW_SECONDS = 30
WINDOWS = 48
"""Windows that are looked at, spread over the recording."""
DEAD = 0.5
"""Share of windows without a signal above which a channel counts as dead; a living one has less than half of that."""
FEW_VALUES = 3
"""A shorted input flickers between neighbouring steps of its converter: so many values in a window are no signal."""
BREATHING = (0.1, 0.7)
"""Hz; 6 to 42 breaths a minute."""
BREATHING_SHARE = 0.35
"""Share of the power below 2 Hz that lies in `BREATHING`, at least, where a sensor breathes; white noise has 0.3."""


def load_living(
    recording: "Recording", channel_map: ChannelMap, channels: Collection[str] | None = None
) -> tuple[ChannelMap, dict[str, Trace]]:
    """Read the channels that a recording has; where the first choice is dead and another signal lives, take that.

    Parameters
    ----------
    recording
        The open recording.
    channel_map
        The map by labels, with the other candidates of each channel.
    channels
        The channels that are needed; None for all. The others are not read.

    Returns
    -------
    tuple of ChannelMap and dict
        The map of what was taken, and channel name to trace. An exchange is told in the trace's repairs.
    """
    sources: list[ChannelSource] = []
    traces: dict[str, Trace] = {}
    for source in channel_map.every:
        if source.signals and (channels is None or source.target in channels):
            trace = load_trace(recording, source, channel_map)
            taken, traces[source.target] = _living(recording, channel_map, source, trace)
            sources.append(taken)
        else:
            sources.append(source)
    sources, traces = _living_eeg(recording, channel_map, sources, traces)
    used = {index for source in sources for index in source.signals}
    unused = tuple(signal.label for signal in recording.signals if signal.index not in used)
    count = len(CHANNELS)
    found = replace(channel_map, sources=tuple(sources[:count]), auxiliary=tuple(sources[count:]), unused=unused)
    return found, traces


def _living(
    recording: "Recording", channel_map: ChannelMap, source: ChannelSource, trace: Trace
) -> tuple[ChannelSource, Trace]:
    others = channel_map.others.get(source.target, ())
    dead = dead_share(trace) if others else 0.0
    if dead <= DEAD:
        return source, trace
    name = " minus ".join(f"'{label.strip()}'" for label in source.labels)
    for other in others:
        second = load_trace(recording, other, channel_map)
        if dead_share(second) < dead / 2:
            reason = f"{name} shows no signal in {100 * dead:.0f} % of the recording"
            label = " minus ".join(f"'{part.strip()}'" for part in other.labels)
            repair = f"{source.target}: {reason}, so {label} was taken"
            taken = replace(other, reason=f"{other.reason}; {reason}")
            return taken, replace(second, repairs=(repair, *second.repairs))
    return source, trace


def _living_eeg(
    recording: "Recording", channel_map: ChannelMap, sources: list[ChannelSource], traces: dict[str, Trace]
) -> tuple[list[ChannelSource], dict[str, Trace]]:
    """Where every central EEG is dead, resolve the labels again without them: another scalp derivation stands in."""
    first = [source for source in sources if source.target in EEG and source.target in traces]
    if not first or any(source.reason == BY_MONTAGE or dead_share(traces[source.target]) <= DEAD for source in first):
        return sources, traces
    dead = {source.signals[0] for source in first}
    labels = ", ".join(f"'{source.labels[0].strip()}'" for source in first)
    while True:
        again = resolve([signal for signal in recording.signals if signal.index not in dead])
        second = [source for source in again.sources if source.target in EEG and source.signals]
        read = {source.target: load_trace(recording, source, channel_map) for source in second}
        living = [source for source in second if dead_share(read[source.target]) <= DEAD / 2]
        if living or not second:
            break
        dead |= {source.signals[0] for source in second}
    if not living:
        return sources, traces
    chosen = {source.target: source for source in living}
    kept = {name: trace for name, trace in traces.items() if name not in EEG}
    for name, source in chosen.items():
        note = f"{name} ('{source.labels[0].strip()}'): stands in, because {labels} show no signal"
        kept[name] = replace(read[name], repairs=(note, *read[name].repairs))
    for source in first:
        nothing = ChannelSource(source.target, (), "", "missing", f"{labels} show no signal", 0.0, "", ())
        chosen.setdefault(source.target, nothing)
    return [chosen.get(source.target, source) for source in sources], kept


def dead_share(trace: Trace) -> float:
    """Estimate for how much of a recording a channel shows nothing.

    Parameters
    ----------
    trace
        The channel in its canonical unit; NaN is no signal.

    Returns
    -------
    float
        Share, 0 to 1, of up to `WINDOWS` windows without a value, without movement (position and saturation may
        rest), or, for breathing, without breaths.
    """
    kind = CHANNEL_BY_NAME[trace.channel].kind
    if kind == "position":
        return float((~(trace.samples >= 0)).mean()) if trace.samples.size else 1.0
    if kind in ("spo2", "pulse"):
        return float(np.isnan(trace.samples).mean()) if trace.samples.size else 1.0
    width = max(1, round(WINDOW_SECONDS * trace.rate))
    count = trace.samples.size // width
    if not count:
        return 0.0
    rows = np.unique(np.linspace(0, count - 1, min(count, WINDOWS)).astype(np.int64))
    windows = [trace.samples[row * width : (row + 1) * width] for row in rows]
    breathing = kind in ("effort", "airflow") and trace.rate >= 4
    return sum(_silent(window, trace.rate if breathing else 0.0) for window in windows) / len(windows)


def _silent(window: NDArray[np.float32], breathing_rate: float) -> bool:
    values = window[np.isfinite(window)]
    if values.size < window.size / 2 or np.unique(values).size <= FEW_VALUES:
        return True
    return breathing_rate > 0 and values.size == window.size and not _breathes(values, breathing_rate)


def _breathes(values: NDArray[np.float32], rate: float) -> bool:
    power = np.abs(np.fft.rfft(values - values.mean(dtype=np.float64))) ** 2
    frequency = np.fft.rfftfreq(values.size, 1 / rate)
    all_slow = power[(frequency > 0) & (frequency < 2.0)].sum()
    breaths = power[(frequency >= BREATHING[0]) & (frequency <= BREATHING[1])].sum()
    return bool(breaths > BREATHING_SHARE * all_slow)
