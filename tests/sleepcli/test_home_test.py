"""Home sleep apnea tests: flow, effort, oximeter and pulse, no EEG; everything that can be said is said."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from core.language.read_back import read_back
from tests.core.psg.edf_files import Signal, edf_bytes
from tests.sleepcli.conftest import Command
from tests.sleepcli.test_commands import assert_one_sentence

MINUTES, RATE = 30, 16
APNEAS = tuple(range(300, 1500, 150))
"""Onsets in seconds of 20 s without flow, each followed by a desaturation of 6 %."""


def steps(values: NDArray[np.float64], top: float) -> NDArray[np.int32]:
    return np.round(values / top * 32767).astype(np.int32).reshape(MINUTES * 60, -1)


def saturation(scale: float = 1.0) -> NDArray[np.float64]:
    percent = 96 + np.round(np.random.default_rng(2).uniform(0, 1, MINUTES * 60))
    for onset in APNEAS:
        percent[onset + 15 : onset + 40] -= np.round(6 * np.hanning(25))
    return percent * scale


def pulse() -> NDArray[np.float64]:
    """Whole beats a minute, 58 to 62; no finger for two minutes, and a code of nine bits in the last."""
    rate = 60 + np.round(2 * np.sin(np.arange(MINUTES * 60) / 50))
    rate[300:420] = 0
    rate[-60:] = 511
    return rate


def home_test(folder: Path, apneas: bool = True, spo2: NDArray[np.float64] | None = None) -> Path:
    t = np.arange(MINUTES * 60 * RATE) / RATE
    size = np.ones(t.size)
    for onset in APNEAS if apneas else ():
        size[onset * RATE : (onset + 20) * RATE] = 0.02
    random = np.random.default_rng(3)
    breath = np.sin(2 * np.pi * 0.25 * t)
    flow, effort = (amount * breath + 0.01 * random.standard_normal(t.size) for amount in (size, np.ones(t.size)))
    plain = {"unit": "", "physical_min": "-2", "physical_max": "2"}
    signals = [Signal("Flow", steps(flow, 2), plain), Signal("Effort THO", steps(effort, 2), plain)]
    if spo2 is not None:
        top = max(130.0, float(spo2.max()) * 1.1) if spo2.max() > 2 else 2.0
        limits = {"unit": "", "physical_min": str(-round(top)), "physical_max": str(round(top))}
        signals.append(Signal("SpO2", steps(spo2, round(top)), limits))
    limits = {"unit": "bpm", "physical_min": "-600", "physical_max": "600"}
    signals.append(Signal("Pulse", steps(pulse(), 600), limits))
    signals.append(Signal("Pleth", steps(1.5 * np.sin(7 * t), 2), plain))
    path = folder / "home.edf"
    path.write_bytes(edf_bytes(signals))
    return path


def captioned(program: Command, path: Path, *more: object) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    out = path.parent / "out"
    result = program("caption", path, "--measured", "--out", out, *more)
    assert result.returncode == 0, result.stderr
    rows = [json.loads(line) for line in (out / "home.captions.jsonl").read_text().splitlines()]
    return json.loads((out / "home.summary.json").read_text()), rows


def test_events_oxygen_and_an_index_by_recording_time(program: Command, tmp_path: Path) -> None:
    summary, rows = captioned(program, home_test(tmp_path, spo2=saturation()))
    figures = summary["statistics"]
    assert figures["rei"] == pytest.approx(len(APNEAS) / (MINUTES / 60))
    assert figures["ahi"] is None
    assert figures["total_sleep_time"] is None
    assert figures["odi4"] == pytest.approx(len(APNEAS) / (MINUTES / 60))
    assert "respiratory event index" in summary["text"]
    assert "of recording" in summary["text"]
    kinds = {event["type"] for row in rows for event in row["events"]}
    assert kinds == {"obstructive_apnea", "desaturation"}
    onsets = sorted({event["onset"] for row in rows for event in row["events"] if event["type"] != "desaturation"})
    np.testing.assert_allclose(onsets, APNEAS, atol=3)
    assert {row["stage"] for row in rows} == {"?"}
    assert any("15" in row["captions"]["respiration"] for row in rows)
    assert any("%" in row["captions"]["cardiac"] for row in rows)


def test_a_night_without_events_has_an_index_of_zero(program: Command, tmp_path: Path) -> None:
    summary, _ = captioned(program, home_test(tmp_path, apneas=False))
    assert summary["statistics"]["rei"] == 0


def test_the_index_counts_from_lights_off_to_lights_on(program: Command, tmp_path: Path) -> None:
    path = home_test(tmp_path, spo2=saturation())
    summary, _ = captioned(program, path, "--lights-off", "600", "--lights-on", "1200")
    inside = sum(600 <= onset < 1200 for onset in APNEAS)
    assert summary["statistics"]["time_in_bed"] == 10
    assert summary["statistics"]["rei"] == pytest.approx(inside * 6, abs=6)


def test_with_a_scoring_beside_it_a_home_test_has_its_stages(program: Command, tmp_path: Path) -> None:
    path = home_test(tmp_path, spo2=saturation())
    rows = "".join(f"{30 * k},30,{'N2' if k % 2 else 'R'}\n" for k in range(2 * MINUTES))
    path.with_suffix(".stages.csv").write_text("onset,duration,stage\n" + rows, encoding="utf-8")
    result = program("stage", path)
    assert result.returncode == 0, result.stderr
    assert [json.loads(line)["stage"] for line in result.stdout.splitlines()][:4] == ["R", "N2", "R", "N2"]


def test_staging_refuses_and_lists_what_is_there(program: Command, tmp_path: Path) -> None:
    assert_one_sentence(program("stage", home_test(tmp_path, spo2=saturation())), 3, "EEG", "THX", "AF")


@pytest.mark.parametrize(("scale", "words"), [(0.01, "fraction"), (10.0, "per mille")])
def test_saturation_as_fraction_or_per_mille_is_told(
    program: Command, tmp_path: Path, scale: float, words: str
) -> None:
    summary, _ = captioned(program, home_test(tmp_path, spo2=saturation(scale)))
    assert any(words in repair for repair in summary["repairs"])
    assert summary["statistics"]["spo2_mean"] == pytest.approx(saturation().mean(), abs=0.3)


@pytest.mark.parametrize("bad", [0.0, 127.0, 12.0, 39.0, 101.0])
def test_a_saturation_outside_its_range_is_no_signal(program: Command, tmp_path: Path, bad: float) -> None:
    course = saturation()
    course[600:900] = bad
    summary, rows = captioned(program, home_test(tmp_path, spo2=course))
    assert 88 <= summary["statistics"]["spo2_min"] <= 92
    assert {row["channels"]["SPO2"] for row in rows[20:30]} == {"disconnected"}
    assert rows[25]["measurements"].get("spo2_mean") is None
    nothing, _ = captioned(program, home_test(tmp_path, spo2=np.full(MINUTES * 60, bad)))
    assert nothing["statistics"]["spo2_mean"] is None
    assert nothing["statistics"]["odi3"] is None


def test_the_heart_rate_comes_from_the_pulse_and_says_so(program: Command, tmp_path: Path) -> None:
    _, rows = captioned(program, home_test(tmp_path, spo2=saturation()))
    for row in rows:
        read = read_back(row["captions"]["cardiac"], "cardiac")
        assert read.unparsed == ()
        assert read.missing == {"ECG": "missing"}
        assert "on the ecg" not in row["captions"]["cardiac"].lower()
        assert not {"beat_rate", "rmssd"} & row["measurements"].keys()
        if row["epoch"] in (10, 11, 12, 13, 58, 59):
            assert "heart_rate_mean" not in row["measurements"]
            assert "heart rate is not reported" in row["captions"]["cardiac"]
        else:
            assert 58 <= row["measurements"]["heart_rate_min"] <= row["measurements"]["heart_rate_max"] <= 62
            assert read.values["heart_rate_mean"] == row["measurements"]["heart_rate_mean"]
            assert read.sites == {"ECG": "the oximeter's pulse"}
            assert read.trends


def test_info_shows_the_pulse_and_leaves_the_plethysmogram(program: Command, tmp_path: Path) -> None:
    path = home_test(tmp_path, spo2=saturation())
    result = program("info", path, "--json", "--quality")
    (row,) = [json.loads(line) for line in result.stdout.splitlines()]
    channel = next(channel for channel in row["channels"] if channel["target"] == "PULSE")
    assert (channel["source"], channel["unit"], channel["rate"], channel["state"]) == ("Pulse", "bpm", 1.0, "ok")
    assert row["unused"] == ["Pleth"]
    montage = tmp_path / "lab.toml"
    montage.write_text('[channels]\nPULSE = ""\n')
    _, rows = captioned(program, path, "--montage", montage)
    assert not any("heart_rate_mean" in row["measurements"] for row in rows)


def test_a_prepared_home_test_says_the_same(program: Command, tmp_path: Path) -> None:
    path = home_test(tmp_path, spo2=saturation())
    _, rows = captioned(program, path)
    assert program("prepare", path, "--out", tmp_path / "stores").returncode == 0
    store = tmp_path / "stores" / "home.psg"
    assert program("caption", store, "--measured", "--out", tmp_path / "again").returncode == 0
    assert [json.loads(line) for line in (tmp_path / "again" / "home.captions.jsonl").read_text().splitlines()] == rows
    channels = json.loads(program("info", store, "--json").stdout)["channels"]
    assert "PULSE" in [channel["target"] for channel in channels]


@pytest.mark.parametrize("how", ["--measured", "--model"])
def test_what_the_rules_looked_for_and_did_not_find_is_said(
    program: Command, tmp_path: Path, model: Path, how: str
) -> None:
    path = home_test(tmp_path, spo2=saturation())
    out = tmp_path / "told"
    assert program("caption", path, how, *([model] if how == "--model" else []), "--out", out).returncode == 0
    rows = [json.loads(line) for line in (out / "home.captions.jsonl").read_text().splitlines()]
    assert json.loads((out / "home.summary.json").read_text())["events_from"] == "measurements"
    for row in rows:
        read = read_back(row["captions"]["stage_event"], "stage_event")
        kinds = {"desaturation" if event["type"] == "desaturation" else "breathing" for event in row["events"]}
        assert set(read.none_found) == {"breathing", "desaturation"} - kinds
        assert read.events_unscored
        assert not read.no_events
        assert read.unparsed == ()
