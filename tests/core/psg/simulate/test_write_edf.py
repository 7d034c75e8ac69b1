"""Files of a simulated night: read back by others, equal for equal seeds."""

from __future__ import annotations

import csv
import hashlib
import json
import resource

import edfio
import numpy as np
import pyedflib
import pytest

from core.errors import SleepcliError, UsageError
from core.psg.simulate.lab import Lab
from core.psg.simulate.montage import CLEAN, WriteMontage, WriteSignal, draw_montage
from core.psg.simulate.night import NightOptions, simulate_night
from core.psg.simulate.write_edf import write_night


@pytest.fixture(scope="module")
def night():
    return simulate_night(7, NightOptions(hours=0.5, lab=Lab(artefact_rate=0.0)))


def test_pyedflib_reads_back_what_was_simulated(night, tmp_path):
    path = write_night(night, tmp_path, "n")
    with pyedflib.EdfReader(str(path)) as reader:
        assert reader.getSignalLabels() == [row.label for row in CLEAN.signals]
        assert reader.getFileDuration() == 1800
        for k, row in enumerate(CLEAN.signals):
            assert reader.getSampleFrequency(k) == row.rate
            assert reader.getPhysicalDimension(k) == row.unit
            step = 2 * row.limit / 65535
            mine = np.clip(night.signals[row.channel][0], -row.limit, row.limit)
            np.testing.assert_allclose(reader.readSignal(k), mine, atol=step)


def test_a_disk_that_fills_up_leaves_no_shorter_night(night, tmp_path):
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2_000_000, limits[1]))
    try:
        with pytest.raises(SleepcliError, match="no space left"):
            write_night(night, tmp_path, "n")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert not [*tmp_path.glob("*.edf"), *tmp_path.glob(".*")]


def test_edfio_agrees_and_no_person_is_named(night, tmp_path):
    edf = edfio.read_edf(write_night(night, tmp_path, "n"))
    assert len(edf.signals) == len(CLEAN.signals)
    assert edf.patient.name == "X"
    assert edf.annotations == ()


def test_equal_seeds_give_equal_bytes(night, tmp_path):
    again = simulate_night(7, NightOptions(hours=0.5, lab=Lab(artefact_rate=0.0)))
    write_night(night, tmp_path / "a", "n")
    write_night(again, tmp_path / "b", "n")
    for name in ("n.edf", "n.stages.csv", "n.truth.json"):
        digests = {hashlib.sha256((tmp_path / side / name).read_bytes()).hexdigest() for side in "ab"}
        assert len(digests) == 1, name


def test_truth_files_hold_every_epoch_and_event(night, tmp_path):
    write_night(night, tmp_path, "n")
    with (tmp_path / "n.stages.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [row["stage"] for row in rows] == [row.stage for row in night.truth.epochs]
    assert rows[2] == {"epoch": "2", "onset": "60", "duration": "30", "stage": rows[2]["stage"]}
    truth = json.loads((tmp_path / "n.truth.json").read_text(encoding="utf-8"))
    assert [row["stage"] for row in truth["epochs"]] == [row["stage"] for row in rows]
    assert len(truth["events"]) == len(night.truth.events)
    assert len(truth["beats"]) == len(night.truth.beats)
    assert {"breaths", "spindles", "slow_waves", "eye_movements", "artefacts", "positions"} <= set(truth)


def test_nothing_temporary_is_left(night, tmp_path):
    write_night(night, tmp_path, "n")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["n.edf", "n.stages.csv", "n.truth.json"]


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_other_montages_hold_the_same_night(night, tmp_path, seed):
    montage = draw_montage(np.random.default_rng(seed))
    path = write_night(night, tmp_path, "n", montage)
    with pyedflib.EdfReader(str(path)) as reader:
        assert reader.getSignalLabels() == [row.label for row in montage.signals]
        for k, row in enumerate(montage.signals):
            mine = night.signals[row.channel][0]
            if row.channel == "EMG_CHIN":
                continue  # lower rates lose the muscle's upper half
            assert reader.readSignal(k).std() == pytest.approx(float(mine.std()) * row.factor, rel=0.15, abs=1e-9)


def test_a_montage_with_an_unknown_channel_is_refused(night, tmp_path):
    with pytest.raises(UsageError, match="EEG_PZ_OZ"):
        write_night(night, tmp_path, "n", WriteMontage((WriteSignal("EEG_PZ_OZ", "Pz-Oz", "uV", 256),)))
    assert not list(tmp_path.iterdir())
