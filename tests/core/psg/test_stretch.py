"""A stretch reads exactly the samples between its moments, gaps and annotations moved along."""

from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest

from core.psg.recording import open_recording
from core.psg.stretch import stretch
from tests.core.psg.edf_files import Signal, annotation_signal, edf_bytes, ramp, time_keeping


def test_samples_start_and_length_are_those_of_the_moments(tmp_path: Path) -> None:
    path = tmp_path / "a.edf"
    path.write_bytes(edf_bytes([Signal("EEG", ramp(60, 128)), Signal("SpO2", ramp(60, 4, seed=2))]))
    whole = open_recording(path)
    part = stretch(whole, 10, 30)
    assert part.duration == 30
    assert whole.start is not None
    assert part.start == whole.start + timedelta(seconds=10)
    for index, rate in ((0, 128), (1, 4)):
        assert part.signals[index].n_samples == 30 * rate
        np.testing.assert_array_equal(part.read(index), whole.read(index)[10 * rate : 40 * rate])
    assert stretch(whole, 50, 30).duration == 10


def test_hash_stays_while_the_file_grows(tmp_path: Path) -> None:
    path = tmp_path / "a.edf"
    hashes = []
    for records in (40, 60):
        path.write_bytes(edf_bytes([Signal("EEG", ramp(60, 16)[:records])]))
        hashes.append(stretch(open_recording(path), 0, 30).content_hash)
    assert hashes[0] == hashes[1]


@pytest.mark.parametrize(
    ("onset", "gaps"),
    [(0.0, [(20.0, 10.0)]), (15.0, [(5.0, 10.0)]), (25.0, [(0.0, 5.0)]), (29.5, [(0.0, 0.5)]), (30.0, []), (33.0, [])],
)
def test_gaps_and_annotations_are_told_from_the_stretchs_start(
    tmp_path: Path, onset: float, gaps: list[tuple[float, float]]
) -> None:
    times = [*range(20), *range(30, 60)]
    more = [b"", b"+33\x151\x14Arousal\x14\x00"]
    marks = annotation_signal(time_keeping([f"+{time}" for time in times], more))
    path = tmp_path / "a.edf"
    path.write_bytes(edf_bytes([Signal("EEG", ramp(50, 16)), marks], reserved="EDF+D"))
    part = stretch(open_recording(path), onset, 30)
    assert [(gap.onset, gap.duration) for gap in part.gaps] == gaps
    assert np.isnan(part.read(0)).sum() == 16 * sum(length for _, length in gaps)
    assert [note.onset for note in part.annotations] == ([33 - onset] if onset > 3 else [])
