"""Sentences that stand for a stage or an event, and search sentences as a clinician would type them."""

from collections.abc import Mapping
from functools import cache
from random import Random

from core.language.facts import DOMAINS, EpochFacts
from core.language.grammar import joined, sentence
from core.language.phrases import EVENT_NAMES, STAGE_NAMES, STAGE_WORDINGS
from core.language.thresholds import concepts, searched_concepts
from core.language.words import CONCEPT_WORDS, EVENT_WORDS, STAGE_FRAMES, STAGE_WORDS, plural
from core.psg.scoring import EVENT_TYPES

STAGE_SYNONYMS: Mapping[str, tuple[str, ...]] = {
    "W": ("awake", "wake", "wakefulness", "stage W", "patient awake", "fully awake"),
    "N1": ("N1", "stage 1", "stage N1", "falling asleep", "drowsiness", "sleep stage one", "light transitional sleep"),
    "N2": ("N2", "stage 2", "stage N2", "stable light sleep", "sleep stage two", "intermediate sleep"),
    "N3": ("N3", "SWS", "slow-wave sleep", "deep sleep", "stage 3", "stage N3", "delta sleep"),
    "R": ("REM", "REM sleep", "stage R", "dreaming sleep", "rapid-eye-movement sleep", "paradoxical sleep"),
}
"""What a clinician types for a stage."""

EVENT_SYNONYMS: Mapping[str, tuple[str, ...]] = {
    "obstructive_apnea": ("obstructive apnea", "obstructive apnoea", "OA", "upper airway obstruction with apnea"),
    "central_apnea": ("central apnea", "central apnoea", "CA", "apnea without effort"),
    "mixed_apnea": ("mixed apnea", "mixed apnoea", "apnea that begins central and ends obstructive"),
    "hypopnea": ("hypopnea", "hypopnoea", "partial airflow reduction", "shallow breathing event"),
    "rera": ("RERA", "respiratory effort-related arousal", "flow limitation ending in an arousal"),
    "desaturation": ("desaturation", "O2 dip", "oxygen desaturation", "SpO2 drop", "fall in saturation", "desat"),
    "arousal": ("arousal", "EEG arousal", "brief awakening", "sleep fragmentation by an arousal"),
    "limb_movement": ("limb movement", "leg movement", "leg jerk", "PLM", "leg kick"),
}
"""What a clinician types for an event."""

EVENT_CLASSES: Mapping[str, tuple[str, ...]] = {
    "apnea": ("obstructive_apnea", "central_apnea", "mixed_apnea"),
    "respiratory event": ("obstructive_apnea", "central_apnea", "mixed_apnea", "hypopnea"),
}
"""What is searched for without regard to its type, and the types that it means."""

CLASS_SYNONYMS: Mapping[str, tuple[str, ...]] = {
    "apnea": ("apnea", "apnoea", "breathing pause", "any apnea"),
    "respiratory event": ("respiratory event", "breathing event", "apnea or hypopnea", "sleep-disordered breathing"),
}
"""What a clinician types for a class of events."""

STAGE_CLASSES: Mapping[str, tuple[str, ...]] = {
    "NREM sleep": ("N1", "N2", "N3"),
    "sleep": ("N1", "N2", "N3", "R"),
    "light sleep": ("N1", "N2"),
}
"""What is searched for without regard to the exact stage, and the stages that it means."""

CONCEPT_SYNONYMS: Mapping[str, tuple[str, ...]] = {
    "strong_delta": ("delta above 90 %", "almost nothing but delta"),
    "delta_dominant": ("delta above 75 %", "high delta", "EEG dominated by delta"),
    "alpha_prominent": ("alpha rhythm", "strong alpha"),
    "spindles": ("sleep spindles", "spindles present"),
    "many_spindles": ("lots of spindles", "spindle-rich EEG"),
    "no_spindles": ("no spindles", "spindles absent"),
    "many_slow_waves": ("high-voltage slow waves", "lots of slow waves"),
    "rapid_eye_movements": ("REMs in the EOG", "rapid eye movements"),
    "slow_eye_movements": ("SEMs", "rolling eyes"),
    "marked_bradycardia": ("heart rate below 40", "HR < 40 bpm"),
    "bradycardia": ("heart rate below 50", "HR < 50 bpm", "slow HR"),
    "tachycardia": ("heart rate above 100", "HR > 100 bpm"),
    "severe_hypoxaemia": ("SpO2 below 80 %", "sats under 80", "severe hypoxia"),
    "hypoxaemia": ("SpO2 below 90 %", "sats under 90", "hypoxia", "low O2"),
    "normal_oxygen": ("SpO2 of 95 % or more", "normal sats"),
    "heart_rate_rising": ("heart rate going up", "HR acceleration"),
    "heart_rate_falling": ("heart rate going down", "HR deceleration"),
    "oxygen_falling": ("SpO2 going down", "sats dropping"),
    "oxygen_recovering": ("SpO2 coming back up", "sats recovering"),
    "tachypnoea": ("respiratory rate above 20", "rapid breathing", "tachypnea"),
    "bradypnoea": ("respiratory rate below 12", "bradypnea"),
    "irregular_breathing": ("irregular respiration", "erratic breathing"),
    "absent_airflow": ("no airflow", "flat airflow"),
    "reduced_airflow": ("low airflow", "airflow below its baseline"),
    "paradoxical_effort": ("paradoxical breathing", "see-saw breathing", "chest and belly out of phase"),
    "atonia": ("low chin EMG", "loss of muscle tone", "EMG atonia"),
    "raised_tone": ("high chin EMG", "tense chin"),
    "chin_bursts": ("chin twitches", "phasic chin activity"),
    "right_side": ("right side", "lying on the right side"),
    "left_side": ("left side", "lying on the left side"),
    "supine": ("supine", "on the back"),
    "prone": ("prone", "on the stomach", "face down"),
    "upright": ("upright", "sitting up"),
}
"""What a clinician types for a concept, beside its clinical words."""

_EVERYDAY = frozenset(
    (
        "normal_heart_rate",
        "normal_breath_rate",
        "synchronous_effort",
        "usual_tone",
        "regular_breathing",
        "normal_oxygen",
    )
)
"""Concepts that hold in most epochs: seldom worth a search."""

_SEARCHES = ("{}", "{}", "find {}", "show me {}", "epochs with {}", "look for {}", "where is there {}?", "any {}?")
_STAGED = ("{finding} in {stage}", "{stage} with {finding}", "{finding} during {stage}", "{stage}, {finding}")
_QUANTIFIERS = ("no", "much", "many", "few", "absent", "lots", "almost", "any", "low", "high", "very", "on", "lying")
_ABSENCES = ("without {}", "but no {}")


def stage_prompts() -> dict[str, tuple[str, ...]]:
    """Sentences by stage, in the wordings of the captions: what zero-shot staging compares an epoch with."""
    return {
        stage: tuple(
            dict.fromkeys(
                [
                    *(sentence(wording.format(STAGE_NAMES[stage])) for wording in STAGE_WORDINGS),
                    *(sentence(frame.format(word)) for frame in STAGE_FRAMES for word in STAGE_WORDS[stage]),
                ]
            )
        )
        for stage in STAGE_NAMES
    }


def event_prompts() -> dict[str, tuple[tuple[str, ...], tuple[str, ...]]]:
    """Sentences by event type: those of an epoch with the event, and those of an epoch without."""
    prompts = {}
    for kind in EVENT_TYPES:
        article, noun = EVENT_NAMES[kind]
        named = [(article, noun), *EVENT_WORDS[kind]]
        present = [sentence(f"{a} {n}") for a, n in named] + [sentence(f"this epoch shows {a} {n}") for a, n in named]
        present += [sentence(f"there is {article} {noun}"), sentence(f"several {plural(noun)}")]
        absent = [sentence(f"no {n}") for _, n in named]
        absent += ["No events.", "There are no events.", sentence(f"an epoch without {article} {noun}")]
        prompts[kind] = (tuple(dict.fromkeys(present)), tuple(dict.fromkeys(absent)))
    return prompts


@cache
def _concept_phrases(concept: str) -> tuple[str, ...]:
    return (*CONCEPT_WORDS[concept], *CONCEPT_SYNONYMS.get(concept, ()))


def query_texts(facts: EpochFacts, seed: int) -> str:
    """A search sentence that this epoch answers.

    One or two findings (events, oxygen, heart, breathing, EEG, position), mostly with the stage, at times with an
    event that is absent. Everything that it asks for is true of the epoch; an epoch without any fact gives an
    empty text.

    Parameters
    ----------
    facts
        What is known of the epoch; values of unusable channels are taken as they stand, so give `sayable` facts.
    seed
        Chooses findings and wording, the same in every process.
    """
    rng = Random(f"{seed}/query")
    found = _findings(facts, rng)
    stage = _stage(facts.stage, rng)
    count = min(len(found), rng.choice((1, 1, 1, 2)))
    chosen = found[:count]
    if stage and (not chosen or rng.random() < 0.2):
        text = stage
    elif stage and rng.random() < 0.6:
        text = rng.choice(_STAGED).format(finding=joined(chosen), stage=stage)
    else:
        text = joined(chosen)
    if not text:
        return ""
    absent = _absence(facts, rng) if rng.random() < 0.15 else ""
    text = f"{text} {absent}".strip()
    frame = rng.choice(_SEARCHES)
    if frame.endswith("?"):
        text = text.removeprefix("a ").removeprefix("an ")
        frame = "{}?" if text.split()[0] in _QUANTIFIERS else frame
    return frame.format(text)


def _stage(stage: str | None, rng: Random) -> str:
    if stage is None:
        return ""
    wider = [name for name, stages in STAGE_CLASSES.items() if stage in stages]
    return rng.choice(wider) if wider and rng.random() < 0.1 else rng.choice(STAGE_SYNONYMS[stage])


def _event(kind: str, rng: Random) -> str:
    wider = [name for name, kinds in EVENT_CLASSES.items() if kind in kinds]
    return rng.choice(CLASS_SYNONYMS[rng.choice(wider)] if wider and rng.random() < 0.2 else EVENT_SYNONYMS[kind])


def _findings(facts: EpochFacts, rng: Random) -> list[str]:
    """Phrases for what the epoch shows, the remarkable before the everyday, in random order otherwise."""
    events = list(dict.fromkeys(_event(kind, rng) for kind in concepts(facts, "stage_event")))
    held = [concept for domain in DOMAINS if domain != "stage_event" for concept in searched_concepts(facts, domain)]
    remarkable = events + [rng.choice(_concept_phrases(concept)) for concept in held if concept not in _EVERYDAY]
    everyday = [rng.choice(_concept_phrases(concept)) for concept in held if concept in _EVERYDAY]
    rng.shuffle(remarkable)
    rng.shuffle(everyday)
    if events and rng.random() < 0.5:
        first = rng.choice(events)
        remarkable = [first, *(phrase for phrase in remarkable if phrase != first)]
    return remarkable + everyday


def _absence(facts: EpochFacts, rng: Random) -> str:
    """What the epoch does not show, where events are scored."""
    if not facts.events_scored:
        return ""
    shown = {event.type for event in facts.events}
    absent = [kind for kind in EVENT_TYPES if kind not in shown]
    if not absent:
        return ""
    _, noun = EVENT_NAMES[rng.choice(absent)]
    return rng.choice(_ABSENCES).format(noun)
