"""Lights off and on: by option, by the scoring, or by the recording's own annotations."""

from dataclasses import dataclass, replace
from datetime import timedelta
from math import isfinite

from core.errors import StudyError, UsageError
from core.psg.preprocess import EPOCH_SECONDS
from core.psg.scoring import UNSCORED, Scoring
from core.psg.store import PreparedStudy

DAY_SECONDS = 86400.0


@dataclass(frozen=True)
class LightsTime:
    """A time as a person gives it."""

    text: str
    """As typed."""
    seconds: float
    """Seconds after midnight, or from the start of the recording."""
    by_clock: bool
    """Whether it is a clock time."""


def parse_time(text: str) -> LightsTime:
    """Read `HH:MM`, `HH:MM:SS`, or a number of seconds.

    Raises
    ------
    UsageError
        The text is none of them.
    """
    parts = text.split(":")
    try:
        numbers = [float(part) for part in parts]
    except ValueError:
        numbers = []
    if len(numbers) == 1 and isfinite(numbers[0]):
        return LightsTime(text, numbers[0], by_clock=False)
    if len(numbers) not in (2, 3) or not (0 <= numbers[0] < 24 and all(0 <= number < 60 for number in numbers[1:])):
        raise UsageError(f"{text!r} is no time.", "Give HH:MM, HH:MM:SS, or seconds from the start of the recording.")
    seconds = sum(number * scale for number, scale in zip(numbers, (3600, 60, 1), strict=False))
    return LightsTime(text, seconds, by_clock=True)


def lit(
    study: PreparedStudy,
    given: tuple[str | None, str | None],
    annotated: tuple[float | None, float | None] = (None, None),
) -> PreparedStudy:
    """Set lights off and on of a study.

    Parameters
    ----------
    study
        With its scoring, where it has one.
    given
        Off and on as the caller gives them; they go first.
    annotated
        Off and on among the recording's own annotations, in seconds; they go after the scoring's.

    Raises
    ------
    UsageError
        A time is none.
    StudyError
        A given time has no place in the recording, or lights go on before they go off.
    """
    scoring = study.scoring or Scoring((UNSCORED,) * study.n_epochs, ())
    known = [_first(scoring.lights_off, annotated[0]), _first(scoring.lights_on, annotated[1])]
    pairs = zip(given, known, strict=True)
    off, on = (kept if text is None else _placed(parse_time(text), study) for text, kept in pairs)
    if (off, on) == (scoring.lights_off, scoring.lights_on):
        return study
    duration = float(study.n_epochs * EPOCH_SECONDS)
    for name, text, wrong in (
        ("Lights off", given[0], off is not None and off >= duration),
        ("Lights on", given[1], on is not None and on <= 0),
    ):
        if text is not None and wrong:
            raise StudyError(f"{name} at {text} lies outside {study.study}, {_span(study, duration)}.", _AGAIN)
    if off is not None and on is not None and on <= off:
        if given == (None, None):
            note = f"Lights on at {on:g} s is not after lights off at {off:g} s; neither was used."
            kept = replace(study.scoring, lights_off=None, lights_on=None) if study.scoring is not None else None
            return replace(study, scoring=kept, repairs=(*study.repairs, note))
        told = [f"{value:g} s" if text is None else text for value, text in zip((off, on), given, strict=True)]
        raise StudyError(f"Lights on at {told[1]} is not after lights off at {told[0]} in {study.study}.", _AGAIN)
    return replace(study, scoring=replace(scoring, lights_off=off, lights_on=on))


_AGAIN = "Give the two times again."


def _first(*values: float | None) -> float | None:
    return next((value for value in values if value is not None), None)


def _placed(time: LightsTime, study: PreparedStudy) -> float:
    """Give a time in seconds of the recording; of a clock time's two days, the one nearer to the recording."""
    if not time.by_clock:
        return time.seconds
    if study.start is None:
        message = f"{study.study} has no start time, so the clock time {time.text} has no place in it."
        raise StudyError(message, "Give seconds from its start.")
    begin = study.start.hour * 3600 + study.start.minute * 60 + study.start.second
    after = (time.seconds - begin) % DAY_SECONDS
    beyond = after - study.n_epochs * EPOCH_SECONDS
    return after - DAY_SECONDS if beyond > DAY_SECONDS - after else after


def _span(study: PreparedStudy, duration: float) -> str:
    if study.start is None:
        return f"which lasts {duration:g} s"
    return f"which lasts from {study.start:%H:%M:%S} to {study.start + timedelta(seconds=duration):%H:%M:%S}"
