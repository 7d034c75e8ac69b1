"""A simulated night is consistent with its own truth and with physiology."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from core.errors import StudyError, UsageError
from core.psg.simulate import breathing, events, oxygen, tracks
from core.psg.simulate.lab import Lab
from core.psg.simulate.night import NightOptions, SimulatedNight, simulate_night
from core.psg.simulate.subject import draw_subject

TRACKS = Path(__file__).resolve().parents[4] / "../shared/data/sleep_edf_features"
TYPES = {
    "obstructive_apnea",
    "central_apnea",
    "mixed_apnea",
    "hypopnea",
    "rera",
    "desaturation",
    "arousal",
    "limb_movement",
}


def sick(**changes: object):
    """A subject with many events of every type."""
    from dataclasses import replace

    base = replace(
        draw_subject(np.random.default_rng(5)),
        ahi=45.0,
        apnea_mix=(0.3, 0.25, 0.15, 0.3),
        heart="none",
        sleep_latency=4.0,
        eeg_gain=1.2,
        desaturation_rate=0.4,
        oxygen_lag=14.0,
        age=30.0,
    )
    return replace(base, **changes)


@pytest.fixture(scope="module")
def night() -> SimulatedNight:
    return simulate_night(3, NightOptions(hours=2.5, subject=sick(), lab=Lab(artefact_rate=0.0)))


def test_channels_have_the_length_of_the_night(night):
    assert set(night.signals) == {
        "EEG_C3",
        "EEG_C4",
        "EOG_L",
        "EOG_R",
        "EMG_CHIN",
        "ECG",
        "AF",
        "THX",
        "ABD",
        "SPO2",
        "POS",
    }
    for samples, rate, _ in night.signals.values():
        assert samples.dtype == np.float32
        assert len(samples) == 2.5 * 3600 * rate
        assert np.isfinite(samples).all()


def test_every_epoch_has_a_stage_and_the_night_begins_awake(night):
    stages = [row.stage for row in night.truth.epochs]
    assert len(stages) == 300
    assert set(stages) <= {"W", "N1", "N2", "N3", "R"}
    assert stages[0] == "W"
    assert {"N1", "N2", "N3"} <= set(stages)


def test_events_lie_inside_the_night_and_last_as_long_as_the_rules_ask(night):
    end = len(night.truth.epochs) * 30
    assert {event.type for event in night.truth.events} <= TYPES
    for event in night.truth.events:
        assert 0 <= event.onset < event.end <= end
        if event.type.endswith("apnea") or event.type == "hypopnea" or event.type == "rera":
            assert event.duration >= 10
        if event.type == "arousal":
            assert 3 <= event.duration <= 15
        if event.type == "desaturation":
            assert event.amplitude >= 3


def test_respiratory_events_happen_in_sleep(night):
    stages = [row.stage for row in night.truth.epochs]
    for event in night.truth.events:
        if event.type.endswith("apnea"):
            assert stages[int(event.onset // 30)] != "W" or stages[int(event.end // 30)] != "W"


def test_apneas_stop_the_flow_and_only_central_ones_stop_the_effort(night):
    time = np.arange(len(night.signals["AF"][0])) / 32
    flow = night.signals["AF"][0] - np.median(night.signals["AF"][0])
    belt = night.signals["ABD"][0]
    quiet = np.median([np.ptp(belt[(time > t) & (time < t + 8)]) for t in range(60, 200, 10)])
    moved: dict[str, list[float]] = {}
    for event in night.truth.events:
        inside = (time > event.onset + 2.5) & (time < event.end - 1.5)
        if not event.type.endswith("apnea") or event.type == "mixed_apnea":
            continue
        assert np.percentile(np.abs(flow[inside] - np.median(flow[inside])), 90) < 0.35
        moved.setdefault(event.type, []).append(float(np.ptp(belt[inside]) / quiet))
    assert set(moved) == {"obstructive_apnea", "central_apnea"}
    assert max(moved["central_apnea"]) < 0.45
    assert min(moved["obstructive_apnea"]) > 0.2
    assert np.median(moved["obstructive_apnea"]) > 0.45


def test_desaturation_follows_its_apnea_by_the_lag(night):
    curve = night.truth.spo2
    subject = night.subject
    falls = [event for event in night.truth.events if event.type == "desaturation"]
    apneas = [event for event in night.truth.events if event.type.endswith(("apnea", "hypopnea"))]
    assert len(falls) > 5
    followed = []
    for fall in falls:
        lowest = fall.onset + float(np.argmin(curve[int(fall.onset) : int(fall.end) + 1]))
        delays = [lowest - apnea.end for apnea in apneas]
        followed.append(any(-4 <= delay - subject.oxygen_lag <= 20 for delay in delays))
    assert np.mean(followed) > 0.9


def test_hypopneas_and_reras_are_scorable(night):
    arousals = [event for event in night.truth.events if event.type == "arousal"]
    falls = [event for event in night.truth.events if event.type == "desaturation"]
    for event in night.truth.events:
        aroused = any(-3 <= a.onset - event.end <= 5 for a in arousals)
        if event.type == "rera":
            assert aroused
        if event.type == "hypopnea":
            assert aroused or any(event.onset < f.end and f.onset < event.end + 35 for f in falls)


def test_beats_keep_physiological_distances(night):
    gaps = np.diff(night.truth.beats)
    assert gaps.min() >= 0.3
    assert gaps.max() < 4
    assert 40 < 60 / gaps.mean() < 110


def test_each_true_beat_is_an_r_peak(night):
    ecg = night.signals["ECG"][0]
    index = np.round(night.truth.beats[~night.truth.ectopic] * 256).astype(int)
    around = np.stack([ecg[index + k] for k in range(-12, 13)], axis=1)
    assert np.mean(np.abs(np.argmax(around, axis=1) - 12) <= 2) > 0.99


def test_waves_belong_to_their_stages(night):
    def stage_near(time):
        stages = [row.stage for row in night.truth.epochs]
        return {stages[min(max(int((time + d) // 30), 0), len(stages) - 1)] for d in (-8, 0, 8)}

    truth = night.truth
    assert truth.spindles
    assert truth.slow_waves
    for wave in truth.spindles:
        assert stage_near(wave.onset) & {"N1", "N2", "N3"}
        assert 0.5 <= wave.duration <= 2.3
        assert 11 <= wave.frequency <= 16
    for wave in truth.slow_waves:
        assert stage_near(wave.onset) & {"N1", "N2", "N3"}  # N1 epochs hold moments of N2
        assert wave.amplitude >= 75
    for movement in truth.eye_movements:
        if movement.type == "rapid_eye_movement":
            assert "R" in stage_near(movement.onset)


def test_spindles_raise_sigma(night):
    from scipy import signal

    eeg = signal.sosfilt(signal.butter(4, [11, 16], "band", fs=256, output="sos"), night.signals["EEG_C3"][0])
    inside = np.mean([np.std(eeg[round(s.onset * 256) : round(s.end * 256)]) for s in night.truth.spindles])
    before = np.mean([np.std(eeg[round((s.onset - 1) * 256) : round(s.onset * 256)]) for s in night.truth.spindles])
    assert inside > 1.8 * before


def test_eyes_deflect_the_two_channels_in_opposite_directions(night):
    left, right = night.signals["EOG_L"][0], night.signals["EOG_R"][0]
    changes = []
    for move in night.truth.eye_movements:
        if move.type in ("saccade", "rapid_eye_movement") and move.amplitude > 100:
            a, b = round(move.onset * 256) - 5, round((move.onset + move.duration) * 256) + 5
            changes.append((left[b] - left[a]) * (right[b] - right[a]) < 0)
    assert len(changes) > 10
    assert np.mean(changes) > 0.9


def test_central_derivations_are_correlated_but_not_equal(night):
    shared = np.corrcoef(night.signals["EEG_C3"][0][::4], night.signals["EEG_C4"][0][::4])[0, 1]
    assert 0.4 < shared < 0.95


def test_amplitudes_are_physiological(night):
    deep = np.repeat([row.stage == "N3" for row in night.truth.epochs], 30 * 256)
    eeg = night.signals["EEG_C3"][0]
    assert 15 < eeg[deep].std() < 90
    assert np.percentile(np.abs(eeg), 99.9) < 400
    assert 0.05 < night.signals["ECG"][0].std() < 0.6


def test_clean_labs_have_no_artefacts_and_others_have_them(night):
    assert night.truth.artefacts == ()
    assert all(row.clean for row in night.truth.epochs)
    spoiled = simulate_night(4, NightOptions(hours=0.5, lab=Lab(artefact_rate=6.0)))
    assert spoiled.truth.artefacts
    assert not all(row.clean for row in spoiled.truth.epochs)
    for span in spoiled.truth.artefacts:
        assert span.channels
        assert 0 <= span.onset < 1800


def test_equal_seeds_give_equal_nights_and_other_seeds_do_not():
    options = NightOptions(hours=0.25)
    first, second, other = (simulate_night(seed, options) for seed in (11, 11, 12))
    for name, (samples, _, _) in first.signals.items():
        np.testing.assert_array_equal(samples, second.signals[name][0])
    assert first.truth.events == second.truth.events
    assert not np.array_equal(first.signals["EEG_C3"][0], other.signals["EEG_C3"][0])


def test_any_whole_number_of_epochs_can_be_simulated():
    night = simulate_night(2, NightOptions(hours=21 * 30 / 3600))
    assert len(night.truth.epochs) == 21
    assert all(len(samples) == 630 * rate for samples, rate, _ in night.signals.values())


def test_wrong_wishes_are_refused():
    with pytest.raises(UsageError, match="too short"):
        simulate_night(0, NightOptions(hours=0.1))
    with pytest.raises(UsageError, match="EEG_X9"):
        simulate_night(0, NightOptions(derivations=("EEG_X9",)))


def test_a_file_that_is_no_track_is_refused(tmp_path):
    path = tmp_path / "track.npz"
    np.savez(path, other=np.zeros(3))
    with pytest.raises(StudyError, match=r"track\.npz"):
        tracks.read_track(path)


def test_desaturation_rule_on_a_drawn_curve():
    curve = np.full(600, 96.0, dtype=np.float32)
    curve[100:130] = np.linspace(96, 91, 30)
    curve[130:150] = np.linspace(91, 96, 20)
    curve[300:320] = np.linspace(96, 93.5, 20)  # 2.5 %: not a desaturation
    curve[320:340] = np.linspace(93.5, 96, 20)
    found = oxygen.desaturations(curve)
    assert len(found) == 1
    assert 98 <= found[0].onset <= 102
    assert found[0].amplitude == pytest.approx(5.0)
    assert 140 <= found[0].end <= 150


def test_oximeter_averages_the_past_and_rounds():
    curve = np.full(100, 97.0, dtype=np.float32)
    curve[50:] = 91.0
    shown = oxygen.oximeter(curve, Lab(spo2_average=3.0, spo2_step=1.0))
    assert set(np.unique(shown)) <= {91.0, 93.0, 95.0, 97.0}
    assert shown[49] == 97
    assert shown[50] == 95
    assert shown[53] == 91


def test_breaths_do_not_overlap_and_positions_cover_the_night():
    rng = np.random.default_rng(2)
    subject = sick()
    states = np.full(900, 2, dtype=np.int8)
    positions = events.draw_positions(rng, subject, states)
    assert positions[0].onset == 0
    assert positions[-1].end == 1800
    breaths, found = breathing.breathe(rng, subject, states, [events.Span("central_apnea", 300.0, 20.0)])
    assert (np.diff(breaths.onset) - breaths.duration[:-1] >= -1e-6).all()
    assert len(found) == 1
    inside = (breaths.onset > found[0].onset + 0.1) & (breaths.onset < found[0].end - 0.1)
    assert not inside.any()


@pytest.mark.skipif(not TRACKS.is_dir(), reason="the real tracks are not there")
def test_a_night_follows_a_real_track():
    path = sorted(TRACKS.glob("*.npz"))[0]
    track = tracks.read_track(path)
    night = simulate_night(
        1, NightOptions(hours=1.0, track=path, lab=Lab(artefact_rate=0.0), derivations=("EEG_FPZ_CZ",))
    )
    power = tracks.band_powers(*night.signals["EEG_FPZ_CZ"][:2])
    mine = np.log(power / power.sum(axis=1, keepdims=True))
    slept = np.concatenate([[0], np.cumsum(track.stages != 0)])
    first = int(np.argmax(slept[120:] - slept[:-120]))
    real = track.log_power[first : first + 120, 0]
    real = real - np.log(np.exp(real).sum(axis=1, keepdims=True))
    assert [row.stage for row in night.truth.epochs] == [
        ("W", "N1", "N2", "N3", "R")[k] for k in track.stages[first : first + 120]
    ]
    for band in range(5):
        assert np.corrcoef(mine[:, band], real[:, band])[0, 1] > 0.9


def test_desaturations_lie_where_the_oximeter_shows_them() -> None:
    seconds = np.arange(1200)
    curve = (96 - 6 * np.clip(1 - np.abs(seconds - 600) / 30, 0, 1)).astype(np.float32)
    (blood,) = oxygen.desaturations(curve)
    (shown,) = oxygen.desaturations(oxygen.averaged(curve, Lab(spo2_average=5.0, spo2_delay=8.0)))
    assert shown.onset == pytest.approx(blood.onset + 8, abs=1)  # its first second below lies in the mean at once
    assert shown.end == pytest.approx(blood.end + 8 + 2, abs=1)  # half of the mean's five seconds later
    assert shown.amplitude < blood.amplitude
