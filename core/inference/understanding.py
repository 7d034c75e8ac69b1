"""A question's plain conditions: comparisons of measured figures, stages and positions, found in its words."""

import operator
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.language.values import POSITIONS


@dataclass(frozen=True)
class Condition:
    """One thing that an epoch must meet."""

    column: str
    """`stage`, `position`, or a measurement name."""
    relation: str
    """`=`, `!=`, `<`, `<=`, `>` or `>=`."""
    value: float | str
    """A stage, or a figure in the measurement's unit."""

    def __str__(self) -> str:
        shown = POSITIONS[int(self.value)] if self.column == "position" else self.value
        return f"{self.column} {self.relation} {f'{shown:g}' if isinstance(shown, float) else shown}"

    def holds(self, stages: NDArray[np.str_], values: Mapping[str, NDArray[np.float32]]) -> NDArray[np.bool_]:
        """Tell for each epoch, [N], whether it meets the condition; an unmeasured epoch does not."""
        compare = _RELATIONS[self.relation]
        if self.column == "stage":
            return np.asarray(compare(stages, self.value), bool)
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
    """Event types that it names: they rank by meaning and are pointed at, not filtered."""

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

_STAGES: tuple[tuple[str, str], ...] = (
    (r"stable light sleep|stage 2|n2", "N2"),
    (r"light sleep|stage 1|n1", "N1"),
    (r"deep sleep|slow[- ]wave sleep|stage 3|n3", "N3"),
    (r"rem(?: sleep)?(?! latency)", "R"),
    (r"wake(?:fulness)?|awake", "W"),
)
_NOT = r"(?P<no>\b(?:not(?: in)?|non|outside(?: of)?|no|without|except(?: in)?)[\s-]+)?"

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
    (r"desaturat(?:ions?|ing)", ("desaturation",)),
    (r"arousals?", ("arousal",)),
    (r"(?:periodic )?(?:limb|leg) movements?", ("limb_movement",)),
)


def understand(text: str) -> Question:
    """Find the conditions in a sentence; what is not understood is left to the ranking.

    `REM sleep with desaturation below 88 %` gives `stage = R and spo2_min < 88`.
    """
    words = " ".join(text.lower().replace("₂", "2").split())
    conditions = [*_stages(words), *_comparisons(words), *_positions(words)]
    return Question(text, tuple(dict.fromkeys(conditions)), _events(words))


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


def _events(words: str) -> tuple[str, ...]:
    types: list[str] = []
    for what, kinds in _EVENTS:
        if re.search(rf"\b(?:{what})\b", words):
            types += kinds
            words = re.sub(rf"\b(?:{what})\b", " ", words)
    return tuple(dict.fromkeys(types))
