"""A question's plain conditions: comparisons of measured figures, stages and positions, found in its words."""

import operator
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.language.values import POSITIONS
from core.psg.scoring import EVENT_TYPES

EITHER = " or "
"""Joins the event types of which one is enough."""


@dataclass(frozen=True)
class Condition:
    """One thing that an epoch must meet."""

    column: str
    """`stage`, `position`, `event`, or a measurement name."""
    relation: str
    """`=`, `!=`, `<`, `<=`, `>` or `>=`."""
    value: float | str
    """A stage, event types joined by ` or `, or a figure in the measurement's unit."""

    def __str__(self) -> str:
        if self.column == "event":
            return f"{'no ' if self.relation == '!=' else 'with '}{self.value}"
        shown = POSITIONS[int(self.value)] if self.column == "position" else self.value
        return f"{self.column} {self.relation} {f'{shown:g}' if isinstance(shown, float) else shown}"

    def holds(self, stages: NDArray[np.str_], values: Mapping[str, NDArray[np.float32]]) -> NDArray[np.bool_]:
        """Tell for each epoch, [N], whether it meets the condition; an unmeasured epoch does not."""
        compare = _RELATIONS[self.relation]
        if self.column == "stage":
            return np.asarray(compare(stages, self.value), bool)
        if self.column == "event":
            there = np.zeros(len(stages), bool)
            for kind in str(self.value).split(EITHER):
                there |= np.asarray(values[kind] > 0, bool) if kind in values else False
            return there if self.relation == "=" else ~there
        column = values.get(self.column)
        if column is None:
            return np.zeros(len(stages), bool)
        return np.asarray(np.isfinite(column) & compare(column, self.value), bool)


@dataclass(frozen=True)
class Question:
    """What was understood of a sentence."""

    text: str
    """The sentence as it was asked; the model ranks by the whole of it."""
    conditions: tuple[Condition, ...]
    """What every hit meets."""
    events: tuple[str, ...]
    """Event types that it wants: hits point at them."""

    def __str__(self) -> str:
        named = " and ".join(str(condition) for condition in self.conditions)
        ranked = "ranked by meaning"
        return f"{named}, {ranked}" if named else ranked


_RELATIONS: Mapping[str, Callable[[Any, Any], Any]] = {
    "=": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}

_BELOW = r"below|under|less than|lower than|<(?!=)"
_ABOVE = r"above|over|more than|greater than|higher than|exceeding|>(?!=)"
_AT_MOST = r"at most|no more than|<=|≤"
_AT_LEAST = r"at least|no less than|>=|≥"
_WORDS = {"<": _BELOW, ">": _ABOVE, "<=": _AT_MOST, ">=": _AT_LEAST}

# words -> (column for "lower than", column for "higher than"): an epoch that goes below does so at its minimum
_QUANTITIES: tuple[tuple[str, str, str], ...] = (
    (r"sp\s?o2|oxygen saturation|saturation|desaturations?", "spo2_min", "spo2_max"),
    (r"heart rate|pulse(?: rate)?", "heart_rate_min", "heart_rate_max"),
    (r"beat rate", "beat_rate", "beat_rate"),
    (r"rmssd|heart[- ]rate variability", "rmssd", "rmssd"),
    (r"(?:respiratory|breathing|respiration|airflow) rate", "airflow_rate", "airflow_rate"),
    (r"thoracic rate", "thoracic_rate", "thoracic_rate"),
    (r"abdominal rate", "abdominal_rate", "abdominal_rate"),
    (r"chin tone|muscle tone", "chin_tone", "chin_tone"),
    (r"delta(?: power)?", "c3_delta", "c3_delta"),
    (r"theta(?: power)?", "c3_theta", "c3_theta"),
    (r"alpha(?: power)?", "c3_alpha", "c3_alpha"),
    (r"sigma(?: power)?", "c3_sigma", "c3_sigma"),
    (r"beta(?: power)?", "c3_beta", "c3_beta"),
)
_COUNTS: tuple[tuple[str, str], ...] = (
    (r"(?:sleep )?spindles?", "spindle_count"),
    (r"slow waves?", "slow_wave_count"),
)

_COMPARED = rf"\b(?:{'|'.join(what for what, *_ in _QUANTITIES)})\s+(?:\w+ )?(?:{'|'.join(_WORDS.values())})\s*\d"
"""A quantity and its bound: a desaturation below 88 % is a figure, not an event of the scored kind."""

_STAGES: tuple[tuple[str, str], ...] = (
    (r"stable light sleep|stage 2|n2", "N2"),
    (r"light sleep|stage 1|n1", "N1"),
    (r"deep sleep|slow[- ]wave sleep|stage 3|n3", "N3"),
    (r"rem(?: sleep)?(?! latency)", "R"),
    (r"wake(?:fulness)?|awake", "W"),
)
_NOT = r"(?P<no>\b(?:not(?: in)?|non|outside(?: of)?|no|without|except(?: in)?)[\s-]+(?:an? |any |the )?)?"

_POSITIONS: tuple[tuple[str, int], ...] = (
    (r"supine|on (?:the|his|her|their) back", 2),
    (r"prone|on (?:the|his|her|their) (?:stomach|belly)", 3),
    (r"upright|sitting", 4),
    (r"left lateral|on (?:the|his|her|their) left side", 1),
    (r"right lateral|on (?:the|his|her|their) right side", 0),
)

_EVENTS: tuple[tuple[str, tuple[str, ...]], ...] = (
    (r"obstructive (?:sleep )?apn(?:o)?eas?", ("obstructive_apnea",)),
    (r"central (?:sleep )?apn(?:o)?eas?", ("central_apnea",)),
    (r"mixed (?:sleep )?apn(?:o)?eas?", ("mixed_apnea",)),
    (r"apn(?:o)?eas?", ("obstructive_apnea", "central_apnea", "mixed_apnea")),
    (r"hypopn(?:o)?eas?", ("hypopnea",)),
    (r"reras?|respiratory[- ]effort[- ]related arousals?", ("rera",)),
    (r"desaturat(?:ions?|ing)|(?:oxygen|o2|spo2) (?:dip|drop|fall)s?", ("desaturation",)),
    (r"(?:fall|drop|dip)s? (?:in|of) (?:the )?(?:blood )?oxygen(?: saturation)?", ("desaturation",)),
    (r"arousals?", ("arousal",)),
    (r"(?:periodic )?(?:limb|leg) movements?", ("limb_movement",)),
)


def understand(text: str) -> Question:
    """Find the conditions in a sentence; what is not understood is left to the ranking.

    `REM sleep with desaturation below 88 %` gives `stage = R and spo2_min < 88`.
    """
    words = " ".join(text.lower().replace("₂", "2").split())
    events = _events(re.sub(_COMPARED, " ", words))
    conditions = [*_stages(words), *_comparisons(words), *_positions(words), *events]
    wanted = [kind for event in _events(words) if event.relation == "=" for kind in str(event.value).split(EITHER)]
    return Question(text, tuple(dict.fromkeys(conditions)), tuple(dict.fromkeys(wanted)))


def _comparisons(words: str) -> list[Condition]:
    found = []
    for relation, how in _WORDS.items():
        for what, low, high in _QUANTITIES:
            pattern = rf"\b(?:{what})\s+(?:is |of |goes |falls |drops |rises )?(?:{how})\s*(-?\d+(?:\.\d+)?)"
            column = low if relation.startswith("<") else high
            found += [Condition(column, relation, float(match[1])) for match in re.finditer(pattern, words)]
        for what, column in _COUNTS:
            pattern = rf"(?:{how})\s*(\d+) (?:{what})\b"
            found += [Condition(column, relation, float(match[1])) for match in re.finditer(pattern, words)]
    return found


def _stages(words: str) -> list[Condition]:
    """Find the stages; several wanted ones contradict each other as a filter, and are left to the ranking."""
    wanted: list[Condition] = []
    refused: list[Condition] = []
    for what, stage in _STAGES:
        for match in re.finditer(rf"{_NOT}\b(?:{what})\b", words):
            (refused if match["no"] else wanted).append(Condition("stage", "!=" if match["no"] else "=", stage))
        words = re.sub(rf"{_NOT}\b(?:{what})\b", " ", words)
    return (wanted if len({condition.value for condition in wanted}) == 1 else []) + refused


def _positions(words: str) -> list[Condition]:
    found = []
    for what, code in _POSITIONS:
        for match in re.finditer(rf"{_NOT}\b(?:{what})\b", words):
            found.append(Condition("position", "!=" if match["no"] else "=", float(code)))
    wanted = [condition for condition in found if condition.relation == "="]
    return found if len(wanted) < 2 else [condition for condition in found if condition.relation != "="]


def _events(words: str) -> list[Condition]:
    """Find the events; an `or` between two of them leaves both to one condition, everything else asks for each."""
    found: list[tuple[int, int, bool, tuple[str, ...]]] = []
    for what, kinds in _EVENTS:
        for match in re.finditer(rf"{_NOT}\b(?:{what})\b", words):
            found.append((match.start(), match.end(), match["no"] is None, kinds))
        words = re.sub(rf"{_NOT}\b(?:{what})\b", lambda match: " " * len(match[0]), words)
    groups: list[tuple[bool, list[str]]] = []
    end = -1
    for begin, until, wanted, kinds in sorted(found):
        either = end >= 0 and re.fullmatch(r"[\s,]*(?:(?:or|and/or)(?: an?| any)?)?[\s,]*", words[end:begin])
        if groups and either and wanted == groups[-1][0]:
            groups[-1][1].extend(kinds)
        else:
            groups.append((wanted, list(kinds)))
        end = until
    if re.search(r"\b(?:no|without(?: any)?) (?:events?|respiratory events?)\b", words):
        groups.append((False, [kind for kind in EVENT_TYPES if kind != "limb_movement"]))
    return [Condition("event", "=" if wanted else "!=", EITHER.join(dict.fromkeys(kinds))) for wanted, kinds in groups]
