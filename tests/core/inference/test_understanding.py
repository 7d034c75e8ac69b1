import numpy as np
import pytest

from core.inference.understanding import understand


@pytest.mark.parametrize(
    ("text", "conditions"),
    [
        ("REM sleep with desaturation below 88 %", ["stage = R", "spo2_min < 88"]),
        ("SpO2 under 90", ["spo2_min < 90"]),
        ("heart rate above 100 bpm in wake", ["stage = W", "heart_rate_max > 100"]),
        ("saturation falls below 85.5%", ["spo2_min < 85.5"]),
        ("N3 with delta power of at least 60 %", ["stage = N3", "c3_delta >= 60"]),
        ("stable light sleep with spindles", ["stage = N2"]),
        ("light sleep", ["stage = N1"]),
        ("non-REM sleep while supine", ["position = supine", "stage != R"]),
        ("not in N2, on the left side", ["stage != N2", "position = left lateral"]),
        ("more than 4 spindles", ["spindle_count > 4"]),
        ("N2 or N3", []),
        ("the patient snores", []),
        ("rmssd ≥ 80", ["rmssd >= 80"]),
    ],
)
def test_plain_conditions_are_found(text: str, conditions: list[str]) -> None:
    assert sorted(str(condition) for condition in understand(text).conditions) == sorted(conditions)


def test_what_was_understood_is_said() -> None:
    assert str(understand("deep sleep with SpO2 below 88")) == "stage = N3 and spo2_min < 88, ranked by meaning"
    assert str(understand("snoring")) == "ranked by meaning"


@pytest.mark.parametrize(
    ("text", "events"),
    [
        ("an obstructive apnea with an arousal", ("obstructive_apnea", "arousal")),
        ("any apnoea", ("obstructive_apnea", "central_apnea", "mixed_apnea")),
        ("desaturation below 88", ("desaturation",)),
        ("leg movements", ("limb_movement",)),
        ("quiet sleep", ()),
    ],
)
def test_named_events_are_pointed_at(text: str, events: tuple[str, ...]) -> None:
    assert understand(text).events == events


def test_an_unmeasured_epoch_meets_no_comparison() -> None:
    (condition,) = understand("spo2 below 88").conditions
    stages = np.array(["R", "R", "R"])
    values = {"spo2_min": np.array([80.0, np.nan, 92.0], np.float32)}
    assert condition.holds(stages, values).tolist() == [True, False, False]
    assert condition.holds(stages, {}).tolist() == [False, False, False]
