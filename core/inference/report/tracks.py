"""The tracks of a night: stages, probabilities, spectrogram, events, saturation, heart rate, position."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from core.inference.events import seen
from core.inference.report.contents import Contents
from core.inference.report.marks import Bars, Figure, Line, Picture, Tick, Track, clock, start_of_day
from core.inference.report.spectrogram import spectrogram
from core.inference.staging import Staging
from core.language.describe_night import minutes_text
from core.language.night import POSITIONS
from core.language.sites import shown_names
from core.psg.preprocess import EPOCH_SECONDS, MODEL_RATE, SPO2_OFFSET, SPO2_SCALE
from core.psg.runs import equal_runs
from core.psg.scorings.terms import EVENT_LABELS, EVENT_TYPES, STAGES

LEVELS = ("W", "R", "N1", "N2", "N3")
"""Stages from the top of a hypnogram, as the AASM manual's figures have them."""
LEVEL_HEIGHT = 24.0  # points between two stages
LANE_HEIGHT = 14.0  # points of a lane of events
OXYGEN_SECONDS = 3  # the lowest value of each is drawn
_FLOOR = 88.0  # %, the lower edge of the saturation's axis unless the blood fell lower
_PLAIN = {"EEG_C3": "C3", "EEG_C4": "C4"}


def night_figure(contents: Contents) -> Figure:
    """Draw a night; what the study has no signal for is left out and named in `absent`."""
    study, staging = contents.study, contents.night.staging
    source = {"scoring": "human scoring", "model": "model"}.get(staging.source, "")
    tracks: list[Track | None] = []
    if staging.source != "none":
        track = _hypnogram("stages", f"Sleep stages ({source})", staging.stages)
        tracks.append(replace(track, marks=(_lights(contents, track.height), *track.marks)))
    if contents.agreement is not None and contents.model is not None:
        tracks.append(_hypnogram("model", "The model's stages", contents.model.stages, contents.agreement.differs))
    if contents.model is not None:
        tracks.append(_probabilities(contents.model))
    drawn = {
        "central EEG": _spectrogram(contents),
        "events": _events(contents),
        "oxygen saturation": _oxygen(contents),
        "heart rate": _heart_rate(contents),
        "body position": _position(contents),
    }
    tracks += drawn.values()
    return Figure(
        duration=float(study.n_epochs * EPOCH_SECONDS),
        start=start_of_day(study),
        tracks=tuple(track for track in tracks if track is not None),
        absent=tuple(name for name, track in drawn.items() if track is None),
    )


def _hypnogram(name: str, title: str, stages: Sequence[str], differs: NDArray[np.bool_] | None = None) -> Track:
    heights = {stage: 12.0 + LEVEL_HEIGHT * row for row, stage in enumerate(LEVELS)}
    seconds: list[float] = []
    levels: list[float] = []
    rem = []
    for first, after in equal_runs(stages):
        level = heights.get(stages[first], np.nan)
        seconds += [first * EPOCH_SECONDS, after * EPOCH_SECONDS]
        levels += [level, level]
        if stages[first] == "R":
            rem.append((first * EPOCH_SECONDS, after * EPOCH_SECONDS, level - 3.0, level + 3.0))
    marks: list[Bars | Line] = [
        _bars("differs", [(k * 30.0, k * 30.0 + 30.0, 0.0, 120.0) for k in np.flatnonzero(_true(differs))]),
        Line("hypnogram", np.array(seconds), np.array(levels)),
        _bars("R", rem),
    ]
    minutes = {stage: stages.count(stage) / 2 for stage in STAGES}
    told = ", ".join(f"{stage} {minutes_text(minutes[stage])}" for stage in LEVELS)
    if differs is not None:
        told += f"; {int(differs.sum())} epochs differ from the scoring"
    return Track(name, title, 120.0, tuple(Tick(heights[s], s) for s in LEVELS), tuple(marks), told)


def _lights(contents: Contents, height: float) -> Bars:
    """What lies outside the time in bed, before lights off and after lights on."""
    scoring = contents.study.scoring
    if scoring is None:
        return _bars("lights", ())
    end = contents.study.n_epochs * float(EPOCH_SECONDS)
    off = 0.0 if scoring.lights_off is None else scoring.lights_off
    on = end if scoring.lights_on is None else scoring.lights_on
    return _bars("lights", [(a, b, 0.0, height) for a, b in ((0.0, min(off, end)), (max(on, 0.0), end)) if b > a])


def _true(values: NDArray[np.bool_] | None) -> NDArray[np.bool_]:
    return np.zeros(0, bool) if values is None else values


def _bars(kind: str, boxes: Sequence[tuple[float, float, float, float]]) -> Bars:
    return Bars(kind, np.array(boxes, float).reshape(-1, 4))


def _probabilities(model: Staging) -> Track | None:
    """Probabilities of the stages, stacked from N3 at the bottom to W at the top."""
    if model.probabilities is None:
        return None
    height = 56.0
    order = [STAGES.index(stage) for stage in reversed(LEVELS)]
    sums = np.cumsum(model.probabilities[:, order], axis=1)  # (epochs, 5)
    known = np.isfinite(sums[:, -1])
    edges = np.round(height * (1 - np.hstack([np.zeros((len(sums), 1)), sums])), 1)
    marks = []
    for row, stage in enumerate(reversed(LEVELS)):
        tops, bottoms = edges[:, row + 1], edges[:, row]
        rows = [tuple(pair) if ok else (-1.0, -1.0) for *pair, ok in zip(tops, bottoms, known, strict=True)]
        boxes = [(a * 30.0, b * 30.0, *rows[a]) for a, b in equal_runs(rows) if rows[a][1] > rows[a][0]]
        marks.append(_bars(stage, boxes))
    best = np.nanmax(model.probabilities, axis=1, initial=0.0)[known]
    told = f"the mean probability of the likeliest stage is {best.mean():.2f}" if best.size else "no epoch was staged"
    ticks = (Tick(4.0, "1"), Tick(height - 2.0, "0"))
    return Track("probability", "Probability of each stage by the model", height, ticks, tuple(marks), told, LEVELS)


def _spectrogram(contents: Contents) -> Track | None:
    drawn = spectrogram(contents.study)
    if drawn is None:
        return None
    height = 96.0
    name = shown_names(contents.study.channel_map).get(drawn.channel, _PLAIN[drawn.channel])
    ticks = tuple(Tick(max(6.0, height * (1 - hertz / drawn.highest)), f"{hertz}") for hertz in (5, 10, 15, 20))
    title = f"Spectrogram of {name}, Hz"
    told = f"power from 0 to {drawn.highest:g} Hz; slow waves are bright at the bottom, spindles near 13 Hz"
    return Track("spectrogram", title, height, ticks, (Picture(drawn.png),), told)


def event_name(kind: str) -> str:
    """An event's name inside a sentence: small letters, but for what is an abbreviation."""
    return " ".join(word if word.isupper() else word.lower() for word in EVENT_LABELS[kind].split())


def event_lanes(contents: Contents) -> list[str]:
    """Types of events that have a lane: those that somebody looked for, found or not."""
    there = {event.type for event in contents.night.events} | set(contents.night.found_by)
    return [kind for kind in EVENT_TYPES if kind in there]


def _events(contents: Contents) -> Track | None:
    night = contents.night
    lanes = event_lanes(contents)
    if not lanes:
        return None
    marks, ticks, told = [], [], []
    for lane, kind in enumerate(lanes):
        top = lane * LANE_HEIGHT
        boxes = [
            (event.onset, event.onset + event.duration, top + 2.0, top + LANE_HEIGHT - 2.0)
            for event in night.events
            if event.type == kind
        ]
        marks.append(_bars(kind, boxes))
        ticks.append(Tick(top + LANE_HEIGHT / 2, SHORT[kind]))
        told.append(f"{event_name(kind)} {len(boxes)}")
    return Track("events", "Events", len(lanes) * LANE_HEIGHT, tuple(ticks), tuple(marks), ", ".join(told))


SHORT = {
    "obstructive_apnea": "Obstr.",
    "central_apnea": "Centr.",
    "mixed_apnea": "Mixed",
    "hypopnea": "Hypop.",
    "rera": "RERA",
    "desaturation": "Desat.",
    "arousal": "Arous.",
    "limb_movement": "Limb",
}
"""Names of events that fit beside a lane."""


def _oxygen(contents: Contents) -> Track | None:
    study = contents.study
    there = seen(study, ("SPO2",))
    if not there.any():
        return None
    values = study.stack(("SPO2",))[:, 0] * SPO2_SCALE + SPO2_OFFSET
    parts = values.reshape(study.n_epochs * EPOCH_SECONDS // OXYGEN_SECONDS, OXYGEN_SECONDS * MODEL_RATE)
    known = np.repeat(there, EPOCH_SECONDS // OXYGEN_SECONDS)
    lows = np.where(known, parts.min(axis=1), np.nan)
    floor = min(_FLOOR, float(np.floor(np.nanmin(lows) / 2) * 2 - 2))
    height = 64.0
    scale = (height - 8.0) / (100.0 - floor)
    seconds = (np.arange(len(lows), dtype=np.float64) + 0.5) * OXYGEN_SECONDS
    marks = (
        _bars("guide", [(0.0, study.n_epochs * 30.0, *_thin(4.0 + (100.0 - 90.0) * scale))]),
        Line("oxygen", seconds, np.round(4.0 + (100.0 - lows) * scale, 1).astype(np.float64)),
    )
    ticks = tuple(Tick(4.0 + (100.0 - v) * scale, f"{v:.0f}") for v in sorted({100.0, 90.0, floor + 2}) if v >= floor)
    lowest = int(np.nanargmin(lows))
    told = f"the lowest value is {lows[lowest]:.0f}% at {clock(seconds[lowest], start_of_day(contents.study))}"
    return Track("oxygen", "Oxygen saturation, %", height, _apart(ticks), marks, told)


def _thin(height: float) -> tuple[float, float]:
    return height - 0.4, height + 0.4


def _apart(ticks: Sequence[Tick], least: float = 9.0) -> tuple[Tick, ...]:
    """Leave out ticks whose labels would touch."""
    kept: list[Tick] = []
    for tick in sorted(ticks, key=lambda tick: tick.height):
        if not kept or tick.height - kept[-1].height >= least:
            kept.append(tick)
    return tuple(kept)


def _heart_rate(contents: Contents) -> Track | None:
    values = contents.night.measurements.values
    mean, low, high = (values[f"heart_rate_{kind}"].astype(float) for kind in ("mean", "min", "max"))
    if not np.isfinite(mean).any():
        return None
    bottom = 10.0 * np.floor(np.nanpercentile(low, 0.5) / 10.0)
    top = max(bottom + 20.0, 10.0 * np.ceil(np.nanpercentile(high, 99.5) / 10.0))
    height = 64.0

    def at(rate: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.asarray(
            np.round(np.clip(4.0 + (top - rate) * (height - 8.0) / (top - bottom), 0.0, height), 1), float
        )

    onsets = np.arange(len(mean)) * float(EPOCH_SECONDS)
    band = np.stack([onsets, onsets + EPOCH_SECONDS, at(high), at(low)], axis=1)
    band = band[np.isfinite(band).all(axis=1)]
    marks = (Bars("heart-range", band), Line("heart", (onsets + EPOCH_SECONDS / 2).astype(np.float64), at(mean)))
    ticks = (Tick(4.0, f"{top:.0f}"), Tick(height - 4.0, f"{bottom:.0f}"))
    told = f"between {np.nanmin(mean):.0f} and {np.nanmax(mean):.0f} beats a minute by epoch"
    return Track("heart", "Heart rate, beats a minute: mean and range of each epoch", height, ticks, marks, told)


def _position(contents: Contents) -> Track | None:
    codes = contents.night.measurements.values["position"].astype(float)
    known = [POSITIONS[int(code)] if np.isfinite(code) and 0 <= code < len(POSITIONS) else "" for code in codes]
    lanes: list[str] = [name for name in ("supine", "left", "right", "prone", "upright") if name in known]
    if not lanes:
        return None
    stretches = [(a, b) for a, b in equal_runs(known) if known[a]]
    boxes = [
        (a * 30.0, b * 30.0, lanes.index(known[a]) * LANE_HEIGHT + 3.0, (lanes.index(known[a]) + 1) * LANE_HEIGHT - 3.0)
        for a, b in stretches
    ]
    ticks = tuple(Tick((lane + 0.5) * LANE_HEIGHT, name.capitalize()) for lane, name in enumerate(lanes))
    told = ", ".join(f"{name} {minutes_text(known.count(name) / 2)}" for name in lanes)
    return Track("position", "Body position", len(lanes) * LANE_HEIGHT, ticks, (_bars("position", boxes),), told)
