"""What a sentence of the night's summary rests on: the moments that a reader can look at."""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np

from core.inference.report.contents import Contents
from core.inference.report.tracks import event_name
from core.language.night import APNEAS, POSITIONS
from core.language.phrases import STAGE_NAMES
from core.psg.preprocess import EPOCH_SECONDS
from core.psg.runs import equal_runs
from core.psg.scorings.terms import STAGES

MOST = 400
"""Moments that are listed for one sentence; the longest or strongest come first where there are more."""
_SENTENCE = re.compile(r"(?<=[.!?])\s+(?=[A-Z0-9])")


@dataclass(frozen=True)
class Moment:
    """Something to look at."""

    onset: float
    """Seconds from the start."""
    duration: float
    """Seconds."""
    label: str
    """What is there."""


@dataclass(frozen=True)
class Sentence:
    """A sentence and its evidence."""

    text: str
    moments: tuple[Moment, ...]


def paragraphs(contents: Contents) -> list[list[Sentence]]:
    """Give the night's summary sentence by sentence, each with what it rests on."""
    text = str(contents.summary["text"])
    return [
        [Sentence(sentence, evidence(sentence, contents)) for sentence in _SENTENCE.split(paragraph)]
        for paragraph in text.split("\n\n")
        if paragraph
    ]


def evidence(sentence: str, contents: Contents) -> tuple[Moment, ...]:
    """Find the moments of a sentence by what it speaks of; the whole night where it speaks of no more."""
    for pattern, find in _FINDERS:
        if re.search(pattern, sentence, re.IGNORECASE):
            found = list(find(contents, sentence))
            if found:
                return tuple(sorted(found[:MOST], key=lambda moment: moment.onset))
    duration = contents.study.n_epochs * float(EPOCH_SECONDS)
    return (Moment(0.0, duration, "the whole recording"),)


def _landmarks(contents: Contents, sentence: str) -> Iterable[Moment]:
    """Sleep onset, the first REM sleep, and the stretches of wake after sleep onset."""
    stages = contents.night.staging.stages
    asleep = [k for k, stage in enumerate(stages) if stage in STAGES[1:] and _in_bed(contents, k)]
    if not asleep:
        return
    yield _stretch(asleep[0], asleep[0] + 1, "sleep onset")
    rem = next((k for k in asleep if stages[k] == "R"), None)
    if rem is not None and "REM" in sentence:
        yield _stretch(rem, rem + 1, "first REM sleep")
    if "wake after" in sentence.lower():
        wakes = [(a, b) for a, b in equal_runs(stages) if stages[a] == "W" and a > asleep[0] and _in_bed(contents, a)]
        for a, b in sorted(wakes, key=lambda run: run[0] - run[1]):
            yield _stretch(a, b, f"wake, {(b - a) / 2:g} min")


def _in_bed(contents: Contents, epoch: int) -> bool:
    scoring = contents.study.scoring
    off = scoring.lights_off if scoring is not None else None
    on = scoring.lights_on if scoring is not None else None
    middle = (epoch + 0.5) * EPOCH_SECONDS
    return (off is None or middle >= off) and (on is None or middle < on)


def _stretch(first: int, after: int, label: str) -> Moment:
    return Moment(first * float(EPOCH_SECONDS), (after - first) * float(EPOCH_SECONDS), label)


def _bed(contents: Contents, sentence: str) -> Iterable[Moment]:
    """The time in bed, and its stretches of sleep."""
    stages = contents.night.staging.stages
    asleep = [stage in STAGES[1:] and _in_bed(contents, k) for k, stage in enumerate(stages)]
    sleeps = [(a, b) for a, b in equal_runs(asleep) if asleep[a]]
    for a, b in sorted(sleeps, key=lambda run: run[0] - run[1]):
        yield _stretch(a, b, f"asleep, {(b - a) / 2:g} min")


def _lights(contents: Contents, sentence: str) -> Iterable[Moment]:
    duration = contents.study.n_epochs * float(EPOCH_SECONDS)
    yield Moment(0.0, float(EPOCH_SECONDS), "start of the recording")
    yield Moment(duration - EPOCH_SECONDS, float(EPOCH_SECONDS), "end of the recording")


def _named_stages(contents: Contents, sentence: str) -> Iterable[Moment]:
    stages = contents.night.staging.stages
    stretches = [
        (a, b) for a, b in equal_runs(stages) if stages[a] in STAGE_NAMES and STAGE_NAMES[stages[a]] in sentence
    ]
    for a, b in sorted(stretches, key=lambda run: run[0] - run[1]):
        yield _stretch(a, b, f"{stages[a]}, {(b - a) / 2:g} min")


def _cycles(contents: Contents, sentence: str) -> Iterable[Moment]:
    stages = contents.night.staging.stages
    for a, b in equal_runs(stages):
        if stages[a] == "R":
            yield _stretch(a, b, f"REM sleep, {(b - a) / 2:g} min")


def _events(*kinds: str) -> Callable[[Contents, str], Iterable[Moment]]:
    def find(contents: Contents, sentence: str) -> Iterable[Moment]:
        chosen = [event for event in contents.night.events if event.type in kinds]
        for event in sorted(chosen, key=lambda event: -event.duration):
            yield Moment(event.onset, event.duration, f"{event_name(event.type)}, {event.duration:.0f} s")

    return find


def _counted(contents: Contents, sentence: str) -> Iterable[Moment]:
    """Events of the types that the sentence counts."""
    words = {"obstructive_apnea": "obstructive apnea", "central_apnea": "central apnea", "mixed_apnea": "mixed apnea"}
    words |= {"hypopnea": "hypopnea", "rera": "effort-related arousal"}
    return _events(*(kind for kind, word in words.items() if word in sentence))(contents, sentence)


def _by_state(contents: Contents, sentence: str) -> Iterable[Moment]:
    """Breathing events, each with the stage or the position that it came in."""
    positions = contents.night.measurements.values["position"]
    for event in contents.night.events:
        if event.type not in BREATHING:
            continue
        epoch = min(int(event.onset // EPOCH_SECONDS), contents.study.n_epochs - 1)
        where = contents.night.staging.stages[epoch]
        if "position" in sentence and np.isfinite(positions[epoch]):
            where = POSITIONS[int(positions[epoch])]
        yield Moment(event.onset, event.duration, f"{event_name(event.type)}, {where}")


def _lowest(contents: Contents, sentence: str) -> Iterable[Moment]:
    """The epochs of the lowest saturation."""
    return _extremes(contents, "spo2_min", "SpO₂ {:.0f}%", lowest=True)


def _below_90(contents: Contents, sentence: str) -> Iterable[Moment]:
    below = contents.night.measurements.below_90
    if below is None:
        return
    for epoch in np.argsort(-np.nan_to_num(below), kind="stable"):
        if below[epoch] > 0:
            yield _stretch(int(epoch), int(epoch) + 1, f"{below[epoch]:.0f} s below 90%")


def _rapid_eyes(contents: Contents, sentence: str) -> Iterable[Moment]:
    """The epochs of REM sleep with the most rapid eye movements."""
    counts = contents.night.measurements.rapid_eyes
    if counts is None:
        return
    rem = np.array([stage == "R" for stage in contents.night.staging.stages])
    known = np.nan_to_num(counts[: len(rem)]) * rem[: len(counts)]
    for epoch in np.argsort(-known, kind="stable")[:10]:
        if known[epoch] > 0:
            yield _stretch(int(epoch), int(epoch) + 1, f"{known[epoch]:.0f} rapid eye movements")


def _heart(contents: Contents, sentence: str) -> Iterable[Moment]:
    yield from list(_extremes(contents, "heart_rate_max", "up to {:.0f} bpm", lowest=False))[:3]
    yield from list(_extremes(contents, "heart_rate_min", "down to {:.0f} bpm", lowest=True))[:3]


def _extremes(contents: Contents, name: str, text: str, lowest: bool, count: int = 10) -> Iterable[Moment]:
    values = contents.night.measurements.values[name].astype(float)
    order = np.argsort(values if lowest else -values, kind="stable")  # NaN last
    for epoch in [int(k) for k in order if np.isfinite(values[k])][:count]:
        yield _stretch(epoch, epoch + 1, text.format(values[epoch]))


def _positions(contents: Contents, sentence: str) -> Iterable[Moment]:
    codes = contents.night.measurements.values["position"]
    names = [POSITIONS[int(code)] if np.isfinite(code) and 0 <= code < len(POSITIONS) else "" for code in codes]
    for a, b in sorted(equal_runs(names), key=lambda run: run[0] - run[1]):
        if names[a]:
            yield _stretch(a, b, f"{names[a]}, {(b - a) / 2:g} min")


BREATHING = (*APNEAS, "hypopnea")
_FINDERS: tuple[tuple[str, Callable[[Contents, str], Iterable[Moment]]], ...] = (
    (r"^Lights off", _lights),
    (r"sleep began|wake after sleep onset|followed .* after sleep onset", _landmarks),
    (r"time in bed|asleep|total sleep time|in bed", _bed),
    (r"sleep cycle", _cycles),
    (r"heart rate|bpm", _heart),
    (r"limb movement", _events("limb_movement")),
    (r"^The arousal index", _events("arousal")),
    (r"desaturation index", _events("desaturation")),
    (r"below 90", _below_90),
    (r"rapid eye movements", _rapid_eyes),
    (r"saturation|below 90", _lowest),
    (r"^The scoring lists|^The model found|measured signals show", _counted),
    (r"the index was|by position it was", _by_state),
    (r"hypopnea|respiratory event|breathing event|AASM criteria", _events(*BREATHING)),
    (r"Body position|The sleeper lay", _positions),
    (r"Sleep \((?:N1|N2|N3)\)|REM sleep", _named_stages),
)
"""What a sentence speaks of, the most telling words first, and who finds its moments."""
