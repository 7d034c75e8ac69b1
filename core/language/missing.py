"""The sentence that says which channels cannot be used, and what is therefore not reported."""

import re
from collections.abc import Mapping
from random import Random

from core.language.facts import EpochFacts
from core.language.grammar import joined, sentence
from core.language.sites import show_sites

CHANNELS_OF_DOMAIN = {
    "brain": ("EOG_L", "EOG_R", "EEG_C3", "EEG_C4"),
    "cardiac": ("ECG", "SPO2"),
    "respiration": ("ABD", "THX", "AF"),
    "somatic": ("EMG_CHIN", "POS"),
    "stage_event": (),
}
"""The channels that a domain's captions are measured on."""

SENSORS = {
    "EOG_L": ("left EOG", "left eye movements"),
    "EOG_R": ("right EOG", "right eye movements"),
    "EEG_C3": ("C3 EEG", "the left central rhythms"),
    "EEG_C4": ("C4 EEG", "the right central rhythms"),
    "ECG": ("ECG", "heart rate"),
    "SPO2": ("oximeter", "oxygen saturation"),
    "ABD": ("abdominal belt", "abdominal breathing"),
    "THX": ("thoracic belt", "thoracic breathing"),
    "AF": ("airflow sensor", "airflow"),
    "EMG_CHIN": ("chin EMG", "chin muscle tone"),
    "POS": ("position sensor", "body position"),
}
"""What carries a channel, and what is not reported without it."""

_WORDED = {"C3 EEG": "left central EEG", "C4 EEG": "right central EEG"}
_WORDED_SITES = {
    "EEG_C3": "substitute EEG",
    "EEG_C4": "second substitute EEG",
    "EOG_L": "substitute EOG",
    "EOG_R": "second substitute EOG",
    "AF": "substitute airflow sensor",
}
_SITES_SHOW = {"EEG_C3": "the brain rhythms", "EEG_C4": "the brain rhythms", "EOG_L": "eye movements"}
_SITES_SHOW |= {"EOG_R": "eye movements", "ECG": "heart-rate variability"}
_PLURAL = ("left eye movements", "right eye movements", "the left central rhythms", "the right central rhythms")
_PAIRS = (
    ("left eye movements", "right eye movements", "eye movements"),
    ("the left central rhythms", "the right central rhythms", "the brain rhythms"),
    ("abdominal breathing", "thoracic breathing", "breathing effort"),
)
_STATES = {
    "missing": ("is missing", "are missing"),
    "flat": ("is flat", "are flat"),
    "clipped": ("is clipped", "are clipped"),
    "gap": ("has a gap", "have a gap"),
    "disconnected": ("is disconnected", "are disconnected"),
    "mains": ("is lost in mains interference", "are lost in mains interference"),
    "artefact": ("is obscured by artefact", "are obscured by artefact"),
}
_VERDICT = "not reported"


def missing_sentence(facts: EpochFacts, domain: str, rng: Random | None = None, digits: bool = True) -> str:
    """One sentence about a domain's unusable channels; empty where all can be used.

    Parameters
    ----------
    facts
        The epoch's facts: what is unusable, and what stands in for a channel.
    domain
        The caption domain.
    rng
        Chooses between wordings; the first without it.
    digits
        Name derivations (`C3 EEG`), or the side of the head.
    """
    unusable = facts.unusable
    channels = [name for name in CHANNELS_OF_DOMAIN[domain] if name in unusable]
    if not channels:
        return ""
    clauses = []
    for state in dict.fromkeys(unusable[name] for name in channels):
        names = [_sensor(name, facts.sites, digits) for name in channels if unusable[name] == state]
        one, several = _STATES.get(state, ("cannot be used", "cannot be used"))
        clauses.append(f"the {joined(names)} {one if len(names) == 1 else several}")
    lost = [_SITES_SHOW.get(name, SENSORS[name][1]) if name in facts.sites else SENSORS[name][1] for name in channels]
    consequence = _consequence(list(dict.fromkeys(lost)))
    connector = ", so" if rng is None else rng.choice((", so", "; therefore"))
    return sentence(f"{joined(clauses)}{connector} {consequence} {_VERDICT}")


def _sensor(channel: str, sites: Mapping[str, str], digits: bool) -> str:
    """What carries a channel, named after the signal that stands in for it where one does."""
    name = SENSORS[channel][0]
    if channel in sites and channel in _WORDED_SITES:
        return show_sites(name.removesuffix(" sensor"), {channel: sites[channel]}) if digits else _WORDED_SITES[channel]
    return name if digits else _WORDED.get(name, name)


def _consequence(names: list[str]) -> str:
    for first, second, both in _PAIRS:
        if both in names:
            names = [name for name in names if name not in (first, second)]
        if first in names and second in names:
            names[names.index(first)] = both
            names.remove(second)
    plural = len(names) > 1 or names[0] in _PLURAL or names[0] in ("eye movements", "the brain rhythms")
    return f"{joined(names)} {'are' if plural else 'is'}"


_NAMES = {name: channel for channel, (name, _) in SENSORS.items()}
_NAMES |= {worded: _NAMES[name] for name, worded in _WORDED.items()}
_NAMES |= {worded: channel for channel, worded in _WORDED_SITES.items()} | {"airflow": "AF"}
_NAME_PATTERN = "|".join(re.escape(name) for name in sorted(_NAMES, key=len, reverse=True))
_STATE_OF_VERB = {verb: state for state, verbs in _STATES.items() for verb in verbs} | {"cannot be used": "unusable"}
_CLAUSE = re.compile(
    rf"(?P<names>(?:{_NAME_PATTERN})(?:(?:, | and )(?:{_NAME_PATTERN}))*) (?P<verb>{'|'.join(_STATE_OF_VERB)})",
    re.IGNORECASE,
)
_EACH_NAME = re.compile(_NAME_PATTERN, re.IGNORECASE)
_CANONICAL = {name.lower(): channel for name, channel in _NAMES.items()}


def read_missing(text: str) -> dict[str, str]:
    """The channels that a sentence calls unusable, with their state; empty where it says nothing of the kind."""
    found: dict[str, str] = {}
    if _VERDICT not in text.lower():
        return found
    for clause in _CLAUSE.finditer(text):
        state = _STATE_OF_VERB[clause["verb"].lower()]
        for name in _EACH_NAME.findall(clause["names"]):
            found[_CANONICAL[name.lower()]] = state
    return found
