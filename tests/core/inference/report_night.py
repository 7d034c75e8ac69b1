"""A small night whose stages, probabilities, events and labels are planted, for the tests of its report."""

from dataclasses import replace
from datetime import datetime
from pathlib import Path

import numpy as np

from core.inference.night import Night, measured_night
from core.inference.report.contents import Contents, contents_of
from core.inference.staging import Staging
from core.language.measure import measure
from core.psg.channels import CHANNELS, MODEL_CHANNELS
from core.psg.preprocess import prepared_from_array, traces_of
from core.psg.quality import State
from core.psg.scoring import STAGES, Event, Scoring
from core.psg.store import PreparedStudy

HOSTILE = "<script>alert('x')</script>\"&amp;<b>"
"""A label that would be markup if nobody escaped it."""
PLAN = "W" * 6 + "1" * 4 + "2" * 8 + "3" * 8 + "2" * 4 + "R" * 6 + "W" * 4
"""Stages as letters, 40 epochs."""
NAMES = {"W": "W", "1": "N1", "2": "N2", "3": "N3", "R": "R", "?": "?"}
DOUBTFUL = {7: 0.45, 8: 0.55, 21: 0.30, 33: 0.70}
"""Probability of the stage that stands, where the model is not sure."""
EVENTS = (
    Event("hypopnea", 400.0, 25.0, 0.4),
    Event("obstructive_apnea", 700.0, 20.0, 0.9),
    Event("desaturation", 720.0, 30.0),
    Event("arousal", 905.0, 5.0, 0.8),
)


def planted_study(name: str = "night", n_epochs: int = 40) -> PreparedStudy:
    """Noise at 64 Hz; a 13-Hz rhythm on C4 in epochs 10 to 17, a saturation of 87 % in epoch 24, a hostile label."""
    rng = np.random.default_rng(3)
    array = rng.standard_normal((n_epochs, len(MODEL_CHANNELS), 1920)).astype(np.float32)
    seconds = np.arange(1920) / 64
    array[10:18, MODEL_CHANNELS.index("EEG_C4")] += 3 * np.sin(2 * np.pi * 13 * seconds).astype(np.float32)
    array[:, MODEL_CHANNELS.index("POS")] = 2.0
    study = prepared_from_array(array, name)
    states = study.states.copy()
    column = [channel.name for channel in CHANNELS].index("SPO2")
    states[:, column] = int(State.OK)
    per_cent = np.interp(np.arange(n_epochs * 1920) / 64, (690.0, 732.0, 738.0, 780.0), (96.0, 87.0, 87.0, 96.0))
    saturation = ((np.round(per_cent) - 90) / 10).astype(np.float32).reshape(n_epochs, 1920)
    rows = [
        {"target": "EEG_C4", "labels": [HOSTILE], "rate": 256.0, "unit": "uV", "reason": "by its label", "state": "ok"}
    ]
    study = replace(
        study,
        states=states,
        extras={"SPO2": saturation},
        start=datetime(2001, 1, 1, 22, 30),
        channel_map={"channels": rows, "unused": [HOSTILE]},
        repairs=(f"The label {HOSTILE} was odd.",),
    )
    tables, notes = measure(traces_of(study), study.states, n_epochs).to_tables()
    return replace(study, tables=tables, notes=notes)


def staged(letters: str = PLAN, doubtful: dict[int, float] = DOUBTFUL) -> Staging:
    """Stages by a model that is 97 % sure but where it is doubtful; the next stage has what is left."""
    rows = np.zeros((len(letters), 5))
    for epoch, letter in enumerate(letters):
        if letter == "?":
            rows[epoch] = np.nan
            continue
        stage = STAGES.index(NAMES[letter])
        sure = doubtful.get(epoch, 0.97)
        rows[epoch, stage] = sure
        rows[epoch, (stage + 1) % 5] = 1 - sure
    return Staging(tuple(NAMES[letter] for letter in letters), np.round(rows, 4), "model")


def planted_night(study: PreparedStudy, staging: Staging | None = None) -> Night:
    """The study's night with planted stages and events."""
    found = dict.fromkeys((event.type for event in EVENTS), "model")
    night = replace(measured_night(study), staging=staging or staged(), events=EVENTS, found_by=found)
    return replace(night, events_from="model")


def planted_contents(name: str = "night") -> Contents:
    """What a report tells of the planted night."""
    study = planted_study(name)
    return contents_of(study, planted_night(study), None)


def planted_scoring(letters: str) -> Scoring:
    """A person's stages of the planted night."""
    return Scoring(tuple(NAMES[letter] for letter in letters), EVENTS, 60.0, 1140.0, "planted.json")


def written(text: str, path: Path) -> Path:
    """Write a page to a file."""
    path.write_text(text, encoding="utf-8")
    return path
