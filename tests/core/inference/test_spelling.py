"""Words as they are typed, against hand-written pairs."""

import pytest

from core.inference.spelling import spelled


@pytest.mark.parametrize(
    ("typed", "read"),
    [
        ("apnoea and hypopnoeas", "apnea and hypopneas"),
        ("hypoxemia, tachypnea", "hypoxaemia, tachypnoea"),
        ("artifacts", "artefacts"),
        ("oa in rem w/ desats", "obstructive apnea in rem with desaturations"),
        ("a/h events", "apnea or hypopnea events"),
        ("arousal-free n2", "no arousal n2"),
        ("stages 2 and 3", "stage 2 or stage 3"),
        ("it doesn't end", "it not end"),
        ("obstrutive", "obstructive"),
        ("arrousal", "arousal"),
        ("desaturtion", "desaturation"),
        ("belwo 90", "below 90"),
        ("slow wve sleap", "slow wave sleep"),
        ("whithout movments", "without movements"),
        ("hypopnia", "hypopnea"),
    ],
)
def test_forms_of_one_word_become_one(typed: str, read: str) -> None:
    assert spelled(typed) == read


@pytest.mark.parametrize(
    "text",
    [
        "the whole night is free of artefact and snoring",
        "scoring, heat and increased traditional situations",
        "an isolated obstruction of the upper airway at 23:30, 88.5 %",
        "rem n2 c3 spo2 k-complexes eog",
        "",
    ],
)
def test_what_is_no_slip_is_left_alone(text: str) -> None:
    assert spelled(text) == text
