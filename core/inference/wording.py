"""What may stand of a text that a model wrote: nothing that the signal was not measured to show."""

from collections.abc import Sequence
from functools import lru_cache

from core.language.describe import filled_sentences
from core.language.facts import EpochFacts
from core.language.grammar import sentence, sentences
from core.language.read_back import CaptionFacts, read_back
from core.language.timeline import trend_sentence
from core.language.trends import Trend
from core.language.values import printed
from core.psg.scoring import Event

TIME_TOLERANCE = 0.5  # seconds: the resolution of the time tokens
TREND_TOLERANCE = 5.0  # seconds: the shortest stretch that is told


def checked(text: str, known: EpochFacts, domain: str) -> tuple[str, bool]:
    """Fill a text's slots with measured values and take out what the measurements do not bear out.

    A sentence with a figure that was not measured, a figure that is not understood, or an unmeasured
    trend is left out; a trend told wrongly is told as measured.

    Parameters
    ----------
    text
        What the model wrote, its slots open.
    known
        What may be told of the epoch, as `core.language.describe.sayable` gives it.
    domain
        The text's domain.

    Returns
    -------
    tuple
        The text, empty where nothing may stand, and whether one of the bank's sentences with measured values stands
        in it.
    """
    parts = filled_sentences(text, known, domain)
    kept: list[str] = []
    for part, measured in parts:
        if measured and not known.sites:  # a signal's name may hold anything, full stops too
            kept.append(part)
        else:
            kept += [sentence(raw) if measured else _checked_sentence(raw, known, domain) for raw in sentences(part)]
    return " ".join(dict.fromkeys(part for part in kept if part)), any(measured for _, measured in parts)


def tells_the_same(text: str, facts: EpochFacts) -> bool:
    """Whether a stage_event text agrees with the settled stage and events, times within a half second."""
    read = read_back(text, "stage_event")
    if read.stage != facts.stage or read.unparsed or len(read.events) != len(facts.events):
        return False
    if not facts.events and read.no_events != facts.events_scored:
        return False
    if not facts.events_scored and set(read.none_found) != set(facts.not_found):
        return False
    return all(_same_event(a, b) for a, b in zip(_ordered(read.events), _ordered(facts.events), strict=True))


def tells_anything(text: str, domain: str) -> bool:
    """Whether a channel domain's text tells a value, a trend or a finding, not only what is missing or unreliable."""
    told = (_read(raw, domain) for raw in sentences(text))
    return any(read.values or read.trends or read.words for read in told)


def leaves_out_pulse(text: str, facts: EpochFacts) -> bool:
    """Whether a cardiac text says nothing of a heart rate that comes from the oximeter's pulse, which no model sees."""
    if "ECG" not in facts.sites:
        return False
    return not any(name.startswith("heart_rate") for name in read_back(text, "cardiac").values)


@lru_cache(maxsize=16384)
def _read(raw: str, domain: str) -> CaptionFacts:
    """Read one sentence, each once: a night says the same again and again."""
    return read_back(raw, domain)


def _checked_sentence(raw: str, facts: EpochFacts, domain: str) -> str:
    read = _read(raw, domain)
    if read.trends:
        return _checked_trend(raw, read.trends, facts)
    if read.unparsed or not _measured(read, facts):
        return ""
    return sentence(raw)


def _checked_trend(raw: str, told: Sequence[Trend], facts: EpochFacts) -> str:
    known = [trend for trend in facts.trends if trend.quantity == told[0].quantity]
    if len(told) == len(known) and all(_same_trend(a, b) for a, b in zip(told, known, strict=True)):
        return sentence(raw)
    return trend_sentence(known, None, slots=False) if known else ""


def _measured(read: CaptionFacts, facts: EpochFacts) -> bool:
    """Whether every figure is the measured one, as it is printed."""
    return all(
        name in facts.values and value == printed(name, facts.values[name]) for name, value in read.values.items()
    )


def _same_trend(told: Trend, known: Trend) -> bool:
    return (
        told.direction == known.direction
        and abs(told.start - known.start) <= TREND_TOLERANCE
        and abs(told.end - known.end) <= TREND_TOLERANCE
    )


def _same_event(told: Event, known: Event) -> bool:
    return (
        told.type == known.type
        and abs(told.onset - known.onset) <= TIME_TOLERANCE
        and abs(told.onset + told.duration - known.onset - known.duration) <= TIME_TOLERANCE
    )


def _ordered(events: Sequence[Event]) -> list[Event]:
    return sorted(events, key=lambda event: (event.type, event.onset))
