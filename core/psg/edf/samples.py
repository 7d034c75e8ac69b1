"""The samples of one signal, scaled and placed on the clock's timeline."""

from math import floor

import numpy as np
from numpy.typing import NDArray

from core.psg.edf.header import EdfHeader, EdfSignal
from core.psg.edf.timeline import Timeline


def timeline_positions(timeline: Timeline, samples: int) -> list[int]:
    """Return where each segment begins on the timeline, and last where the timeline ends.

    Parameters
    ----------
    timeline
        Of the file.
    samples
        Samples a record of the signal.
    """
    positions: list[int] = []
    end = 0
    for segment in timeline.segments:
        nearest = floor(segment.onset / timeline.record_duration * samples + 0.5) if segment.onset else 0
        positions.append(max(nearest, end))
        end = positions[-1] + segment.count * samples
    return [*positions, end]


def read_samples(
    header: EdfHeader, timeline: Timeline, data: NDArray[np.uint8], signal: EdfSignal
) -> NDArray[np.float32]:
    """Read one signal.

    Parameters
    ----------
    header, timeline
        Of the file.
    data
        The file's bytes, uint8 `[bytes]`; only the pages of the records are touched.
    signal
        One of the header's signals that is not an annotation signal.

    Returns
    -------
    float32 `[samples]`
        Physical values in the declared unit, NaN inside gaps.
    """
    *positions, length = timeline_positions(timeline, signal.samples)
    samples = np.full(length, np.nan, np.float32) if len(positions) > 1 else np.empty(length, np.float32)
    end = header.data_offset + header.n_records * header.record_bytes
    records = data[header.data_offset : end].reshape(header.n_records, header.record_bytes)
    first = signal.first * header.sample_bytes
    columns = records[:, first : first + signal.samples * header.sample_bytes]
    for segment, position in zip(timeline.segments, positions, strict=True):
        target = samples[position : position + segment.count * signal.samples]
        rows = columns[segment.first : segment.first + segment.count]
        _scale(rows, header.sample_bytes, signal, target.reshape(segment.count, signal.samples))
    return samples


def _scale(rows: NDArray[np.uint8], sample_bytes: int, signal: EdfSignal, target: NDArray[np.float32]) -> None:
    """Decode little-endian two's-complement samples, `[records, bytes]`, into physical values."""
    block = max(1, _BLOCK_BYTES // max(rows.shape[1], 1))
    for start in range(0, rows.shape[0], block):
        raw = np.ascontiguousarray(rows[start : start + block])
        if sample_bytes == 2:
            digital = raw.view("<i2").astype(np.float64)
        else:
            triple = raw.reshape(raw.shape[0], -1, 3).astype(np.int32)
            high = (triple[..., 2] ^ 0x80) - 0x80
            digital = (triple[..., 0] | (triple[..., 1] << 8) | (high << 16)).astype(np.float64)
        digital *= signal.gain
        digital += signal.offset
        target[start : start + block] = digital


_BLOCK_BYTES = 128 << 10
"""Bytes decoded at once: in double precision they still fit a processor's second cache."""
