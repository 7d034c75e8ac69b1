"""Clinical words without digits: concepts, stages and events as a clinician names them, written and read."""

import re
from collections.abc import Collection
from functools import cache
from random import Random

from core.language.facts import EpochFacts
from core.language.grammar import joined, sentence
from core.language.missing import CHANNELS_OF_DOMAIN, missing_sentence
from core.language.phrases import (
    EVENTS_UNSCORED,
    NO_EVENTS,
    NOTHING_NOTABLE,
    OTHERS_UNSCORED,
    STAGE_UNKNOWN,
    UNRELIABLE,
)
from core.language.thresholds import CONCEPTS_OF_DOMAIN, concepts

CONCEPT_WORDS: dict[str, tuple[str, ...]] = {
    "strong_delta": ("an EEG made almost wholly of delta", "overwhelming delta activity", "very strong delta power"),
    "delta_dominant": ("a delta-dominant EEG", "predominant delta power", "dominant delta activity"),
    "theta_prominent": ("prominent theta activity", "much theta power", "a theta-rich EEG"),
    "alpha_prominent": ("prominent alpha rhythm", "much alpha power", "an alpha-rich EEG"),
    "sigma_prominent": ("prominent sigma activity", "raised sigma power", "a sigma-rich EEG"),
    "beta_prominent": ("prominent beta activity", "much fast beta power", "a beta-rich EEG"),
    "spindles": ("sleep spindles", "some spindle activity", "a few spindles"),
    "many_spindles": ("many sleep spindles", "dense spindle activity", "frequent spindles"),
    "no_spindles": ("no sleep spindles", "absent spindles", "no spindle activity"),
    "many_slow_waves": ("many slow waves", "abundant slow-wave activity", "dense high-amplitude slow waves"),
    "few_slow_waves": ("few slow waves", "sparse slow-wave activity", "isolated slow waves"),
    "no_slow_waves": ("no slow-wave activity", "absent slow-wave activity", "no high-amplitude slow waves"),
    "slow_eye_movements": ("slow eye movements", "slow rolling eye movements", "slow drifting of the eyes"),
    "rapid_eye_movements": ("rapid eye movements", "quick eye movements", "saccadic eye movements"),
    "marked_bradycardia": ("marked bradycardia", "a very slow heart rate", "pronounced bradycardia"),
    "bradycardia": ("bradycardia", "a slow heart rate", "a slow pulse"),
    "normal_heart_rate": ("a normal heart rate", "a heart rate in the normal range", "normocardia"),
    "fast_heart_rate": ("a heart rate that is fast for sleep", "a raised heart rate", "a rather fast pulse"),
    "tachycardia": ("tachycardia", "a fast heart rate", "a rapid pulse"),
    "low_variability": ("low heart-rate variability", "a rigid heart rhythm", "reduced beat-to-beat variability"),
    "high_variability": ("high heart-rate variability", "large beat-to-beat variability", "a strongly varying rhythm"),
    "severe_hypoxaemia": ("severe hypoxaemia", "very low oxygen saturation", "a deep fall of oxygen"),
    "hypoxaemia": ("hypoxaemia", "low oxygen saturation", "reduced blood oxygen"),
    "normal_oxygen": ("normal oxygen saturation", "well-preserved oxygenation", "normal blood oxygen"),
    "heart_rate_rising": ("a rising heart rate", "an accelerating pulse", "an increasing heart rate"),
    "heart_rate_falling": ("a falling heart rate", "a decelerating pulse", "a decreasing heart rate"),
    "oxygen_recovering": ("a rising oxygen saturation", "recovering oxygen", "resaturation"),
    "oxygen_falling": ("a falling oxygen saturation", "declining oxygen", "a decreasing oxygen saturation"),
    "bradypnoea": ("bradypnoea", "slow breathing", "a low breathing rate"),
    "normal_breath_rate": ("a normal breathing rate", "eupnoea", "breathing at a normal rate"),
    "tachypnoea": ("tachypnoea", "fast breathing", "a high breathing rate"),
    "regular_breathing": ("regular breathing", "steady breaths", "even breath intervals"),
    "irregular_breathing": ("irregular breathing", "unsteady breaths", "uneven breath intervals"),
    "absent_airflow": ("absent airflow", "cessation of airflow", "almost no airflow"),
    "reduced_airflow": ("reduced airflow", "diminished airflow", "shallow airflow"),
    "synchronous_effort": ("synchronous effort", "thorax and abdomen in phase", "effort in phase"),
    "asynchronous_effort": ("asynchronous effort", "thorax and abdomen out of step", "thoraco-abdominal asynchrony"),
    "paradoxical_effort": ("paradoxical effort", "thoraco-abdominal paradox", "paradoxical breathing"),
    "atonia": ("muscle atonia", "a chin muscle without tone", "very low chin tone"),
    "raised_tone": ("raised chin tone", "high muscle tone", "a tense chin muscle"),
    "usual_tone": ("usual chin tone", "ordinary muscle tone", "a chin tone that is usual for the night"),
    "chin_bursts": ("chin muscle bursts", "bursts of chin activity", "a twitching chin"),
    "right_side": ("right lateral position", "a sleeper on the right side", "a sleeper lying on the right"),
    "left_side": ("left lateral position", "a sleeper on the left side", "a sleeper lying on the left"),
    "supine": ("supine position", "a sleeper on the back", "a sleeper lying supine"),
    "prone": ("prone position", "a sleeper on the stomach", "a sleeper lying prone"),
    "upright": ("upright position", "an upright body", "a sleeper sitting upright"),
}
"""Noun phrases by concept; no phrase stands for two concepts."""

EVENT_WORDS: dict[str, tuple[tuple[str, str], ...]] = {
    "obstructive_apnea": (
        ("an", "obstructive apnea"),
        ("an", "obstructive apnoea"),
        ("an", "obstructed breathing pause"),
    ),
    "central_apnea": (("a", "central apnea"), ("a", "central apnoea"), ("a", "breathing pause without effort")),
    "mixed_apnea": (("a", "mixed apnea"), ("a", "mixed apnoea"), ("a", "mixed breathing pause")),
    "hypopnea": (("a", "hypopnea"), ("a", "hypopnoea"), ("a", "partial reduction of breathing")),
    "rera": (("a", "respiratory effort-related arousal"), ("a", "RERA"), ("a", "flow-limited run ending in arousal")),
    "desaturation": (("an", "oxygen desaturation"), ("a", "desaturation"), ("a", "drop in oxygen")),
    "arousal": (("an", "arousal"), ("an", "EEG arousal"), ("a", "cortical arousal")),
    "limb_movement": (("a", "limb movement"), ("a", "leg movement"), ("a", "leg jerk")),
}
"""Article and noun by event type."""

_PLURALS = {
    "obstructed breathing pause": "obstructed breathing pauses",
    "breathing pause without effort": "breathing pauses without effort",
    "mixed breathing pause": "mixed breathing pauses",
    "partial reduction of breathing": "partial reductions of breathing",
    "flow-limited run ending in arousal": "flow-limited runs ending in arousal",
    "drop in oxygen": "drops in oxygen",
}

STAGE_WORDS = {
    "W": ("wakefulness", "the awake state", "wake"),
    "N1": ("light transitional sleep", "drowsy light sleep", "sleep stage one"),
    "N2": ("stable light sleep", "intermediate sleep", "sleep stage two"),
    "N3": ("deep sleep", "slow-wave sleep", "sleep stage three"),
    "R": ("REM sleep", "dreaming sleep", "rapid-eye-movement sleep"),
}
"""Stages without digits; no phrase stands for two stages."""

_FRAMES = ("{}", "this epoch shows {}", "findings: {}", "the signals show {}")
STAGE_FRAMES = ("{}", "this epoch is {}", "the sleeper is in {}", "the stage is {}")


def plural(noun: str) -> str:
    """The plural of an event's noun."""
    return _PLURALS.get(noun, f"{noun}s")


def describe_in_words(facts: EpochFacts, domain: str, rng: Random, levels: Collection[str]) -> str:
    """The caption of a domain in clinical words, without a digit.

    Parameters
    ----------
    facts
        What may be said of the epoch (values of unusable channels already left out).
    domain
        The caption domain.
    rng
        Chooses the words.
    levels
        The kinds of sentences to write.
    """
    if domain == "stage_event":
        return " ".join(_stage_and_events(facts, rng, levels))
    held = list(concepts(facts, domain)) if "channel" in levels else []
    told = []
    if held:
        rng.shuffle(held)
        for start in range(0, len(held), 4):
            words = [rng.choice(CONCEPT_WORDS[concept]) for concept in held[start : start + 4]]
            told.append(sentence(rng.choice(_FRAMES).format(joined(words))))
    missing = missing_sentence(facts, domain, rng, digits=False)
    lost = all(channel in facts.unusable for channel in CHANNELS_OF_DOMAIN[domain])
    if not told and not lost:
        told.append(sentence(rng.choice(NOTHING_NOTABLE if facts.values else UNRELIABLE)))
    return " ".join([*told, *([missing] if missing else [])])


def _stage_and_events(facts: EpochFacts, rng: Random, levels: Collection[str]) -> list[str]:
    told = []
    events = _event_words(facts, rng) if "event" in levels else []
    if "stage" in levels:
        if facts.stage is None:
            told.append(sentence(rng.choice(STAGE_UNKNOWN)))
        else:
            stage = rng.choice(STAGE_FRAMES).format(rng.choice(STAGE_WORDS[facts.stage]))
            if events and rng.random() < 0.5:
                stage, events = f"{stage} with {joined(events)}", []
            told.append(sentence(stage))
    if events:
        told.append(sentence(rng.choice(_FRAMES).format(joined(events))))
    if "event" in levels and not facts.events_scored:
        told.append(sentence(rng.choice(OTHERS_UNSCORED if facts.events else EVENTS_UNSCORED)))
    elif "event" in levels and not facts.events:
        told.append(sentence(rng.choice(NO_EVENTS)))
    return told


def _event_words(facts: EpochFacts, rng: Random) -> list[str]:
    words = []
    for kind in concepts(facts, "stage_event"):
        article, noun = rng.choice(EVENT_WORDS[kind])
        alike = [event for event in facts.events if event.type == kind]
        if len(alike) > 1:
            words.append(f"{rng.choice(('several', 'repeated'))} {plural(noun)}")
            continue
        words.append(f"{article} {noun}{_when(alike[0].onset, alike[0].onset + alike[0].duration, rng)}")
    return words


def _when(start: float, end: float, rng: Random) -> str:
    """Where in the epoch an event lies, in words: from the start, to the end, early, late or in the middle."""
    if start <= 0.5 and end >= 29.5:
        return rng.choice((" through the whole epoch", " throughout"))
    if end <= 10.0:
        return rng.choice((" early in the epoch", " at the beginning"))
    if start >= 20.0:
        return rng.choice((" late in the epoch", " towards the end"))
    return rng.choice((" in the course of the epoch", ""))


@cache
def _lexicon(domain: str) -> tuple[re.Pattern[str], dict[str, str]]:
    """Every phrase of a domain, longest first, and what it stands for; stages carry the prefix `stage `."""
    meaning: dict[str, str] = {}
    if domain == "stage_event":
        for kind, names in EVENT_WORDS.items():
            for _, noun in names:
                meaning |= {noun.lower(): kind, plural(noun).lower(): kind}
        for stage, stages in STAGE_WORDS.items():
            meaning |= {phrase.lower(): f"stage {stage}" for phrase in stages}
    else:
        from_domain = CONCEPTS_OF_DOMAIN[domain]
        meaning = {phrase.lower(): concept for concept in from_domain for phrase in CONCEPT_WORDS[concept]}
    phrases = sorted(meaning, key=len, reverse=True)
    return re.compile(rf"\b(?:{'|'.join(re.escape(phrase) for phrase in phrases)})\b", re.IGNORECASE), meaning


def read_words(text: str, domain: str) -> tuple[str | None, frozenset[str]]:
    """The stage (None where it names none) and the concepts or event types that a sentence names in words."""
    pattern, meaning = _lexicon(domain)
    found = [meaning[match.lower()] for match in pattern.findall(text)]
    stages = [name.removeprefix("stage ") for name in found if name.startswith("stage ")]
    return (stages[0] if stages else None), frozenset(name for name in found if not name.startswith("stage "))
