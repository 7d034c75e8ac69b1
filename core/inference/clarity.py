"""How clearly an epoch meets what was understood of a question: what ranks epochs that all meet it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.inference.conditions import FLAG_PREFIX, Clause, Condition
from core.inference.epoch_table import COLUMNS, EVENT_GROUPS, INTEGER, NIGHT_FIGURES, NUMBER
from core.psg.scoring import STAGES

EVENT_HALF = 3.0  # seconds of an event inside an epoch at which it is half clear
SHOWN_BY: Mapping[str, Condition] = {"desaturation": Condition("spo2_min", "<", 94.0)}
"""What makes an event clearer the further it goes: of a fall in oxygen, how low."""
ENOUGH = 3.0
"""Steps of a figure beyond its bound that count; more is not clearer, only rarer."""
STEPS: Mapping[str, float] = {
    **dict.fromkeys(("spo2_min", "spo2_mean", "spo2_max"), 1.0),  # %, the step of an oximeter
    **dict.fromkeys(("heart_rate_min", "heart_rate_mean", "heart_rate_max", "beat_rate"), 3.0),  # beats a minute
    **dict.fromkeys(("breath_rate", "airflow_rate", "thoracic_rate", "abdominal_rate"), 1.0),  # breaths a minute
}
"""How far a figure lies beyond its bound when the condition holds beyond the doubt of measuring."""
_LENGTHS = ("_seconds", "_longest")
_OF_EVENTS = (*_LENGTHS, "_count", "_starts")
LENGTH_STEP = 3.0  # seconds
SHARE_STEP = 0.1
"""Step of every other figure, as a share of the bound."""
_CERTAIN = ("onset", "until_end", "night_fraction", "since_sleep", "epoch", *NIGHT_FIGURES)


@dataclass(frozen=True)
class Clarity:
    """The conditions of a question, as what can be told of each epoch that meets them."""

    clauses: tuple[Clause, ...]
    """Each of them is met."""

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns that tell, each once; empty where every epoch meets the conditions equally well."""
        names = (name for clause in self.clauses for name in _columns(clause))
        return tuple(dict.fromkeys(names))

    def of(self, values: Mapping[str, Sequence[Any] | NDArray[Any]], count: int) -> NDArray[np.float64]:
        """Give the clarity of some epochs, [count], 0 to 1: the product of what each condition gives.

        Parameters
        ----------
        values
            `columns` of the epochs; what is not known (None or NaN) is neither clear nor unclear.
        """
        known = {name: np.asarray(values[name], np.float32).astype(np.float64) for name in self.columns}
        every = [_clause(clause, known, count) for clause in self.clauses]
        return np.asarray(np.round(np.prod(every, axis=0), 6), np.float64) if every else np.ones(count)


def _columns(part: Clause | Condition) -> list[str]:
    if isinstance(part, Clause):
        return [name for inner in part.parts for name in _columns(inner)]
    if part.column == "stage":
        return [f"p_{part.value}"] if part.value in STAGES else []
    if part.column.startswith(FLAG_PREFIX):
        event = part.column.removeprefix(FLAG_PREFIX)
        shown = [SHOWN_BY[event].column] if event in SHOWN_BY else []
        return [f"{event}_seconds", f"{event}_confidence", *shown] if part.relation == "=" else []
    if COLUMNS[part.column] not in (NUMBER, INTEGER) or part.column in _CERTAIN:
        return []
    event = next((part.column.removesuffix(end) for end in _OF_EVENTS if part.column.endswith(end)), "")
    return [part.column, *([f"{event}_confidence"] if event in EVENT_GROUPS else [])]


def _clause(part: Clause | Condition, known: Mapping[str, NDArray[np.float64]], count: int) -> NDArray[np.float64]:
    if isinstance(part, Condition):
        return _condition(part, known, count)
    every = np.stack([_clause(inner, known, count) for inner in part.parts])
    if not part.all_of and all(isinstance(p, Condition) and p.column == "stage" for p in part.parts):
        return np.asarray(np.minimum(every.sum(axis=0), 1.0), np.float64)  # an epoch has one stage: its chances add
    return np.asarray(every.prod(axis=0) if part.all_of else every.max(axis=0), np.float64)


def _condition(asked: Condition, known: Mapping[str, NDArray[np.float64]], count: int) -> NDArray[np.float64]:
    names = _columns(asked)
    if not names:
        return np.ones(count)
    values = known[names[0]]
    if asked.column == "stage":
        clear = values if asked.relation == "=" else 1.0 - values
    elif asked.column.startswith(FLAG_PREFIX):
        clear = values / (values + EVENT_HALF)
        shown = SHOWN_BY.get(asked.column.removeprefix(FLAG_PREFIX))
        if shown is not None:
            clear = clear * _or_one(_margin(shown, known[shown.column]))
    else:
        clear = _margin(asked, values)
    sure = next((known[name] for name in names[1:] if name.endswith("_confidence")), np.ones(count))
    return _or_one(clear) * _or_one(sure)


def _or_one(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """What is not known is neither clear nor unclear."""
    return np.where(np.isfinite(values), values, 1.0)


def _margin(asked: Condition, values: NDArray[np.float64]) -> NDArray[np.float64]:
    """How far a figure lies on the right side of its bound, as 0 to 1: a half at one step."""
    bound = float(asked.value)
    beyond = bound - values if asked.relation in ("<", "<=") else values - bound
    if asked.relation in ("=", "!="):
        return np.ones(len(values))
    step = step_of(asked.column, bound)
    steps = np.clip(beyond / step, 0.0, ENOUGH) + 0.25  # a figure at its bound still counts a little
    return np.asarray(steps / (steps + 1.0), np.float64)


def step_of(column: str, bound: float) -> float:
    """How far a figure lies from a bound beyond the doubt of measuring, in the column's unit."""
    if column in STEPS:
        return STEPS[column]
    if COLUMNS[column] == INTEGER or column.endswith("_count"):
        return 1.0
    return LENGTH_STEP if column.endswith(_LENGTHS) else SHARE_STEP * max(abs(bound), 0.1)
