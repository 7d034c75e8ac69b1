"""An answer in a sentence: counts, shares, times and extremes of the epochs that meet a question, from the table."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from core.inference.conditions import FLAG_PREFIX
from core.inference.epoch_table import COLUMNS, NIGHT_FIGURES, NUMBER
from core.inference.search import Asked
from core.inference.store import Store
from core.language.measurements import MEASUREMENTS
from core.psg.scoring import UNSCORED

STAGE_WORDS: Mapping[str, str] = {"W": "wake", "R": "REM", "N1": "N1", "N2": "N2", "N3": "N3"}
MOSTLY = 0.5
"""Share from which one value is called the usual one."""
_NO_EXTREMES = ("onset", "until_end", "night_fraction", *NIGHT_FIGURES)
_UNITS = {**{name: row.unit for name, row in MEASUREMENTS.items()}, "breath_rate": "/min", "eye_slow": "%"}
_UNITS |= dict.fromkeys(("eye_rapid", "delta", "theta", "alpha", "sigma", "beta"), "%")


@dataclass(frozen=True)
class Told:
    """An answer and the figures in it."""

    sentence: str
    """For people."""
    figures: Mapping[str, Any]
    """Everything that the sentence says, and the counts behind its shares."""

    def to_json(self) -> dict[str, Any]:
        """Give the answer as JSON values."""
        return {"answer": self.sentence, "figures": dict(self.figures)}


def answer(asked: Asked, store: Store) -> Told:
    """State counts, shares, times and extremes of the epochs that meet the conditions.

    Meaning alone cannot be counted: without a condition every epoch is told of, and the sentence says so.
    """
    compared = [name for name in asked.question.columns if COLUMNS[name] == NUMBER and name not in _NO_EXTREMES]
    measured = [name for name in compared if not name.endswith(("_seconds", "_longest"))]
    flags = [name for name in asked.question.columns if name.startswith(FLAG_PREFIX)]
    groups = [name.removeprefix(FLAG_PREFIX) for name in flags]
    starts = [f"{group}_starts" for group in groups]
    rows = store.read(("study", "onset", "clock", "stage", "position", *measured, *starts), asked.where)
    studies = store.studies()
    count = len(rows["study"])
    figures: dict[str, Any] = {
        "epochs": count,
        "minutes": count / 2,
        "all_epochs": sum(int(row["epochs"]) for row in studies),
        "studies": len(set(rows["study"])),
        "all_studies": len(studies),
    }
    if not count:
        return Told(_none(asked, figures, store), figures)
    figures |= _stages(rows["stage"]) | _positions(rows["position"]) | _times(rows)
    figures["extremes"] = {name: _extremes(name, rows) for name in measured}
    begun = {group: sum(n or 0 for n in rows[start]) for group, start in zip(groups, starts, strict=True)}
    figures["events_that_begin"] = {group: number for group, number in begun.items() if number}
    return Told(_sentence(asked, figures), figures)


def _none(asked: Asked, figures: Mapping[str, Any], store: Store) -> str:
    unknown = []
    for column in asked.question.columns:
        count = store.count(f"{column} IS NULL") if column.islower() else 0
        if count:
            unknown.append(f"{column} is not known in {count} of {figures['all_epochs']} epochs")
    told = f"; {' and '.join(unknown)}" if unknown else ""
    return f"No epoch of {_studies(figures['all_studies'])} meets this{told}."


def _stages(stages: Sequence[str]) -> dict[str, Any]:
    counts = Counter(stage for stage in stages if stage != UNSCORED)
    known = sum(counts.values())
    shares = {stage: round(100.0 * number / known, 1) for stage, number in counts.most_common()}
    return {"stages": dict(counts.most_common()), "stage_shares": shares, "unscored": len(stages) - known}


def _positions(positions: Sequence[str | None]) -> dict[str, Any]:
    counts = Counter(position for position in positions if position is not None)
    known = sum(counts.values())
    shares = {position: round(100.0 * number / known, 1) for position, number in counts.most_common()}
    return {"positions": dict(counts.most_common()), "position_shares": shares, "position_known": known}


def _times(rows: Mapping[str, Sequence[Any]]) -> dict[str, Any]:
    """When: the middle half of the epochs by clock, from noon to noon; by onset where no clock is known."""
    clocks = sorted(_after_noon(clock) for clock in rows["clock"] if clock is not None)
    onsets = sorted(rows["onset"])
    figures = {"first_onset": onsets[0], "last_onset": onsets[-1]}
    if not clocks:
        return figures
    low, high = clocks[len(clocks) // 4], clocks[(3 * len(clocks)) // 4]
    ends = {"earliest": clocks[0], "latest": clocks[-1], "half_from": low, "half_to": high}
    return figures | {name: _clock_text(minutes) for name, minutes in ends.items()}


def _after_noon(clock: str) -> int:
    return (int(clock[:2]) * 60 + int(clock[3:5]) - 720) % 1440


def _clock_text(minutes: int) -> str:
    return f"{(minutes + 720) // 60 % 24:02d}:{minutes % 60:02d}"


def _extremes(name: str, rows: Mapping[str, Sequence[Any]]) -> dict[str, Any]:
    known = [(value, n) for n, value in enumerate(rows[name]) if value is not None]
    if not known:
        return {}
    low, high = min(known), max(known, key=lambda pair: (pair[0], -pair[1]))
    mean = round(sum(value for value, _ in known) / len(known), 2)
    return {"lowest": _at(low, rows), "highest": _at(high, rows), "mean": mean, "unit": _UNITS.get(name, "")}


def _at(found: tuple[float, int], rows: Mapping[str, Sequence[Any]]) -> dict[str, Any]:
    value, number = found
    return {"value": value} | {name: rows[name][number] for name in ("study", "onset", "clock")}


def _sentence(asked: Asked, figures: Mapping[str, Any]) -> str:
    count, whole = figures["epochs"], figures["all_epochs"]
    start = f"{count} {'epoch' if count == 1 else 'epochs'} ({_duration(figures['minutes'])}"
    parts = [f"{start}, {_percent(100.0 * count / whole)} of all) in {_of_studies(figures)}"]
    if figures["stage_shares"] and not _asks(asked, "stage"):
        stage, share = next(iter(figures["stage_shares"].items()))
        parts.append(f"{_percent(share)} in {STAGE_WORDS[stage]}")
    if figures["position_shares"] and not _asks(asked, "position"):
        position, share = next(iter(figures["position_shares"].items()))
        parts.append(f"{'mostly ' if share > 100 * MOSTLY else 'most often '}{position} ({_percent(share)})")
    if "half_from" in figures and count > 1 and not _asks(asked, "clock"):
        parts.append(f"half of them between {figures['half_from']} and {figures['half_to']}")
    sentences = [", ".join(parts) + "."]
    sentences += [_extreme_sentence(name, row, asked) for name, row in figures["extremes"].items() if row]
    begun = figures["events_that_begin"]
    if begun:
        told = " and ".join(f"{number} {_noun(group, number)}" for group, number in begun.items())
        sentences.append(f"{told} begin{'s' if sum(begun.values()) == 1 else ''} in them.")
    if not asked.where:
        sentences.append("The question sets no condition that can be counted: these are all epochs.")
    elif asked.question.rest:
        sentences.append(f'"{asked.question.rest}" only ranks and is not counted.')
    return " ".join(sentences)


def _asks(asked: Asked, column: str) -> bool:
    """Whether the question fixes a column to one value, so that its share says nothing."""
    return [part for clause in asked.question.clauses for part in clause.columns].count(column) == 1


def _extreme_sentence(name: str, row: Mapping[str, Any], asked: Asked) -> str:
    falling = any(f"{name} <" in clause.sql for clause in asked.question.clauses)
    end = row["lowest" if falling else "highest"]
    unit = f" {row['unit']}" if row["unit"] and not row["unit"].startswith("/") else row["unit"]
    when = f" at {end['clock'][:5]}" if end["clock"] else f", {end['onset']:g} s after the start,"
    word = "lowest" if falling else "highest"
    return f"The {word} {name} is {end['value']:g}{unit}, in {end['study']}{when}."


def _of_studies(figures: Mapping[str, Any]) -> str:
    some, whole = figures["studies"], figures["all_studies"]
    return _studies(whole) if whole == 1 else f"{some} of {whole} studies"


def _studies(count: int) -> str:
    return "one study" if count == 1 else f"{count} studies"


def _noun(group: str, count: int) -> str:
    return group.replace("_", " ") + ("" if count == 1 else "s")


def _percent(share: float) -> str:
    return f"{share:.0f} %" if share >= 1 or share == 0 else f"{share:.1g} %"


def _duration(minutes: float) -> str:
    hours, rest = divmod(round(minutes * 2) / 2, 60)
    return f"{hours:.0f} h {rest:g} min" if hours else f"{rest:g} min"
