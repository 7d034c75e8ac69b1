"""A simulated night as files: EDF+, its stages and its truth."""

from __future__ import annotations

import dataclasses
import errno
import json
import os
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyedflib
from numpy.typing import NDArray
from scipy import signal

from core.errors import UsageError
from core.files import whole_file, write_text
from core.psg.simulate.montage import CLEAN, LEGS, WriteMontage, WriteSignal
from core.psg.simulate.night import SimulatedNight
from core.psg.simulate.truth import EPOCH_SECONDS, Span

START = datetime(2020, 1, 1, 22, 0, 0)
"""Every simulated night begins at this time: no clock reaches a file."""


def _resampled(samples: NDArray[np.float32], rate: float, wanted: int, held: bool) -> NDArray[np.float32]:
    """Bring samples to another whole rate; values that step are held, not filtered."""
    if rate == wanted:
        return samples
    if held:
        index = (np.arange(round(len(samples) / rate * wanted)) * rate / wanted).astype(int)
        return np.asarray(samples[np.minimum(index, len(samples) - 1)])
    shared = int(np.gcd(round(rate), wanted))
    out = signal.resample_poly(samples, wanted // shared, round(rate) // shared)
    return np.asarray(out, dtype=np.float32)


def _header(row: WriteSignal, reached: float) -> dict[str, Any]:
    """Signal header for pyedflib; `reached` is the largest size of a channel in arbitrary units, 0 for others."""
    limit = max(row.limit, 1.01 * reached)
    high = float(f"{limit:.4g}")  # the header has eight characters
    low = -high if row.low is None else row.low
    return {
        "label": row.label,
        "dimension": row.unit,
        "sample_frequency": row.rate,
        "physical_max": high,
        "physical_min": low,
        "digital_max": 32767,
        "digital_min": -32768,
        "prefilter": "",
        "transducer": "",
    }


def _write_signals(night: SimulatedNight, path: Path, montage: WriteMontage) -> None:
    """Write the EDF+ file itself."""
    headers, traces = [], []
    for row in montage.signals:
        samples, rate, _ = night.signals[row.channel]
        trace = _resampled(samples, rate, row.rate, held=row.channel in ("SPO2", "POS"))
        values = trace.astype(np.float64) * row.factor
        header = _header(row, float(np.abs(values).max()) if row.channel in ("AF", "THX", "ABD") else 0.0)
        traces.append(np.clip(values, header["physical_min"], header["physical_max"]))
        headers.append(header)
    writer = pyedflib.EdfWriter(str(path), len(headers), file_type=pyedflib.FILETYPE_EDFPLUS)
    try:
        writer.setStartdatetime(START)
        writer.setSignalHeaders(headers)
        writer.writeSamples(traces)
    finally:
        writer.close()
    if path.stat().st_size < 2 * sum(map(len, traces)):  # two bytes a sample; the writer tells nobody of a full disk
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def _span(span: Span) -> dict[str, Any]:
    """JSON form of a span without its empty fields."""
    row: dict[str, Any] = {"type": span.type, "onset": span.onset, "duration": span.duration}
    if span.amplitude > 0:
        row["amplitude"] = span.amplitude
    if span.frequency > 0:
        row["frequency"] = span.frequency
    if span.channels:
        row["channels"] = list(span.channels)
    return row


def truth_json(night: SimulatedNight) -> dict[str, Any]:
    """Give the truth of a night in its JSON form.

    Parameters
    ----------
    night : SimulatedNight
        The night.

    Returns
    -------
    dict
        Epochs, events, beats, breaths, waves, eye movements, artefacts, positions; times in seconds from the start.
    """
    truth = night.truth
    waves = (
        "spindles",
        "slow_waves",
        "k_complexes",
        "vertex_waves",
        "sawtooth_waves",
        "eye_movements",
        "artefacts",
        "positions",
    )
    return {
        "format": 1,
        "seed": night.seed,
        "subject": {k: _plain(v) for k, v in dataclasses.asdict(night.subject).items()},
        "lab": {k: _plain(v) for k, v in dataclasses.asdict(night.lab).items()},
        "lights_off": truth.lights_off,
        "lights_on": truth.lights_on,
        "epochs": [dataclasses.asdict(row) for row in truth.epochs],
        "events": [_span(event) for event in truth.events],
        "beats": [round(float(t), 4) for t in truth.beats],
        "ectopic_beats": [round(float(t), 4) for t in truth.beats[truth.ectopic]],
        "breaths": [
            {"onset": round(a, 3), "duration": round(b, 3), "flow": round(c, 3), "effort": round(d, 3)}
            for a, b, c, d in truth.breaths.tolist()
        ],
        **{name: [_span(span) for span in getattr(truth, name)] for name in waves},
        "spo2": [round(float(v), 2) for v in truth.spo2],
    }


def _plain(value: Any) -> Any:
    """Round numbers for JSON."""
    if isinstance(value, dict):
        return {key: _plain(inner) for key, inner in value.items()}
    if isinstance(value, tuple):
        return [_plain(v) for v in value]
    return round(value, 4) if isinstance(value, float) else value


def write_night(night: SimulatedNight, folder: Path, study: str, montage: WriteMontage | None = None) -> Path:
    """Write a night as ``<study>.edf``, ``<study>.stages.csv`` and ``<study>.truth.json``.

    Parameters
    ----------
    night : SimulatedNight
        The night.
    folder : Path
        Made where it is not there.
    study : str
        Stem of the three files.
    montage : WriteMontage, optional
        Channels, labels, rates and units; the clean default montage where None, with the legs where the
        night holds them.

    Returns
    -------
    Path
        The EDF, which appears last.

    Raises
    ------
    UsageError
        When the montage asks for a channel that the night does not hold.
    """
    chosen = montage or WriteMontage((*CLEAN.signals, *(row for row in LEGS if row.channel in night.signals)))
    missing = [row.channel for row in chosen.signals if row.channel not in night.signals]
    if missing:
        raise UsageError(f"The simulated night has no channel {missing[0]}.", f"It has {', '.join(night.signals)}.")
    rows = ["epoch,onset,duration,stage"]
    rows += [f"{k},{k * EPOCH_SECONDS:g},{EPOCH_SECONDS:g},{row.stage}" for k, row in enumerate(night.truth.epochs)]
    write_text(folder / f"{study}.stages.csv", "\n".join(rows) + "\n")
    write_text(folder / f"{study}.truth.json", json.dumps(truth_json(night), separators=(",", ":")) + "\n")
    path = folder / f"{study}.edf"
    with whole_file(path) as temporary:
        _write_signals(night, temporary, chosen)
    return path
