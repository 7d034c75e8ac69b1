"""Terms of scorings: stages and events under the names that scorers, cohorts and devices give them."""

import re
import unicodedata
from dataclasses import dataclass
from datetime import datetime

STAGES = ("W", "N1", "N2", "N3", "R")
"""AASM stages."""
UNSCORED = "?"
"""The stage of an epoch that has none."""
EVENT_TYPES = (
    "obstructive_apnea",
    "central_apnea",
    "mixed_apnea",
    "hypopnea",
    "rera",
    "desaturation",
    "arousal",
    "limb_movement",
)
"""Types of events."""
EPOCH_SECONDS = 30.0
"""Length of an epoch by the AASM rules."""
CLOCK_DAY = datetime(1985, 1, 2)
"""The date of a clock time that has none; not EDF+'s anonymous start, which is midnight of the day before."""
LIGHTS_OFF = "lights_off"
LIGHTS_ON = "lights_on"


@dataclass(frozen=True)
class Event:
    """A scored event."""

    type: str
    """One of `EVENT_TYPES`."""
    onset: float
    """Seconds from the recording's start."""
    duration: float
    """Seconds."""
    confidence: float | None = None
    """0 to 1 where a model found the event; None where a person scored it."""


@dataclass(frozen=True)
class StageRow:
    """A stretch of one stage, as a scoring states it."""

    onset: float
    """Seconds from the scoring's start."""
    duration: float
    """Seconds; 0 where the stretch lasts until the next one begins."""
    stage: str
    """One of `STAGES`, or `UNSCORED`."""


@dataclass(frozen=True)
class Score:
    """A scoring as its file states it, before it is aligned with a recording."""

    rows: tuple[StageRow, ...]
    """Stages."""
    events: tuple[Event, ...] = ()
    """Events, in seconds from the scoring's start."""
    lights_off: float | None = None
    """Seconds from the scoring's start."""
    lights_on: float | None = None
    """Seconds from the scoring's start."""
    start: datetime | None = None
    """Clock time of the scoring's start; None where it is the recording's."""
    has_onsets: bool = True
    """Whether the rows state their times; False for a bare list of stages."""
    epoch_seconds: float | None = None
    """Epoch length of a bare list; None where the file states none."""


RK_CODES = {"0": "W", "1": "N1", "2": "N2", "3": "N3", "4": "N3", "5": "R"}
"""Rechtschaffen and Kales' numbers, as NSRR and Compumedics write them (6 movement, 9 unscored)."""
AASM_CODES = {"0": "W", "1": "N1", "2": "N2", "3": "N3", "4": "R"}
"""The five stages counted from 0, as machine-learning data sets write them."""

_STAGE_NAMES = {
    **dict.fromkeys(("w", "wake", "awake", "s0", "n0", "wk", "wach"), "W"),
    **dict.fromkeys(("n1", "s1", "nrem1", "nonrem1", "light1"), "N1"),
    **dict.fromkeys(("n2", "s2", "nrem2", "nonrem2"), "N2"),
    **dict.fromkeys(("n3", "s3", "nrem3", "nonrem3", "sws", "n4", "s4", "nrem4"), "N3"),
    **dict.fromkeys(("r", "rem", "remsleep", "sr"), "R"),
    **dict.fromkeys(("?", "mt", "movementtime", "unscored", "undefined", "notscored"), UNSCORED),
}
_COLUMN_WORDS = "u m l x a ns mvt movement bewegung unknown unk undef none na nan noscore nostage unstaged "
_COLUMN_WORDS += "artefact artifact artefakt"
_COLUMN_NAMES = dict.fromkeys(("", *_COLUMN_WORDS.split()), UNSCORED)
_STAGE_PREFIX = re.compile(r"^(sleep[\s_-]*stage|stage|sleep|stadium|stufe)[\s_:-]*(?=\S)", re.IGNORECASE)
_STAGE_SUFFIX = re.compile(r"\s*(sleep|stage)$", re.IGNORECASE)
_NOT_ALPHANUMERIC = re.compile(r"[^a-z0-9?]+")


def stage_name(text: str, column: bool = False) -> str | None:
    """Return the stage that a label names, or None where it names none.

    Parameters
    ----------
    text
        A label. A bare digit is none: only its neighbours tell which numbering it belongs to
        (`stages_of_labels`); after "stage" it is Rechtschaffen and Kales'.
    column
        Whether the label stands where only stages stand, so that words such as "artefact" mean "not
        scored" and not a remark.
    """
    plain = text.partition("|")[0].partition("@@")[0].strip()
    rest = _STAGE_PREFIX.sub("", plain)
    prefixed = rest != plain
    key = _NOT_ALPHANUMERIC.sub("", _STAGE_SUFFIX.sub("", rest).lower())
    if key.isdigit():
        return RK_CODES.get(key, UNSCORED) if prefixed else None
    found = _STAGE_NAMES.get(key)
    return found or (_COLUMN_NAMES.get(key) if column or (prefixed and key) else None)


def stages_of_labels(labels: list[str]) -> list[str] | None:
    """Return the stage of each label, names or one numbering; None where a label is no stage.

    Of numbers, a 5 anywhere means Rechtschaffen and Kales' (4 is stage 4, 5 is REM); without a 5
    they are the five stages counted from 0 (4 is REM). Numbers below 0 and above 5 are unscored.
    """
    numbers = [re.fullmatch(r"([+-]?\d{1,9})(?:\.0*)?", label.strip()) for label in labels]
    codes = RK_CODES if any(n is not None and n[1] == "5" for n in numbers) else AASM_CODES
    stages: list[str] = []
    for label, number in zip(labels, numbers, strict=True):
        stage = codes.get(str(int(number[1])), UNSCORED) if number is not None else stage_name(label, True)
        if stage is None:
            return None
        stages.append(stage)
    return stages


_EVENT_PATTERNS: tuple[tuple[re.Pattern[str], str | None], ...] = tuple(
    (re.compile(pattern), kind)
    for pattern, kind in (
        (r"artifact|artefact|unsure", None),
        (r"\brera\b|effort[ -]?related", "rera"),
        (r"hypopn|\bhyp\b|\bhyp-|\bhypo\b", "hypopnea"),
        (r"(mixed|mixt|mist|gemischt|\bma\b).*apn|apn.*(mixed|mixt|mist)|apnea-m\b|^ma$", "mixed_apnea"),
        (r"([cz]entral|clear airway).*apn|apn.*central|apnea-c\b|^ca$|^csa$", "central_apnea"),
        (r"apn|^oa$|^osa$", "obstructive_apnea"),
        (r"desat|entsattig", "desaturation"),
        (r"arous|\baro\b", "arousal"),
        (r"\bplms?\b|\blms?\b|leg mov|limb mov|\blegm|beinbeweg", "limb_movement"),
    )
)


def event_type(text: str) -> str | None:
    """Return the event type that a label names, or None.

    An apnea without its kind counts as obstructive, the kind that scoring programs give by default. A remark
    in which an event is merely mentioned ("history of apnea") is none.
    """
    letters = unicodedata.normalize("NFKD", text.partition("@@")[0].strip().lower().replace("_", " "))
    plain = "".join(letter for letter in letters if not unicodedata.combining(letter))
    words = _WORD.findall(plain[:_LONGEST_LABEL])
    if len(plain) > _LONGEST_LABEL or 2 * sum(bool(_EVENT_WORD.match(word)) for word in words) <= len(words):
        return None
    for pattern, kind in _EVENT_PATTERNS:
        if pattern.search(plain):
            return kind
    return None


_LONGEST_LABEL = 64
"""Characters; longer texts are remarks, not labels."""
_WORD = re.compile(r"[^\W\d]+\d?")
_EVENT_WORD = re.compile(
    r"(?:(?:micro|hypo|a)?(?:pn[eoé]|arous)\w*|(?:mixed|mixt|mist|gemischt|[cz]entral|obstru[ck]t|ostrutt|clear|airway|desat|entsattig|beinbeweg|periodic|limb|leg|move|"
    r"resp|effort|relat|oxygen|spontan|extern|result|associat|event|cortic|left|right)\w*|"
    r"spo2?|sao2?|o2|rera|plms?|lms?|oa|ca|ma|osa|csa|hyp|aro|res|eeg|emg|chin|asda|aasm|cheshire|from|by|due|to|with|"
    r"[a-z])$"
)
"""Words of event labels; a text of which they are not most is a remark."""

_LIGHTS = re.compile(r"^\W*lights?[\s_-]*(off|out|on)\b", re.IGNORECASE)


def lights_name(text: str) -> str | None:
    """Return LIGHTS_OFF or LIGHTS_ON where a label marks one of them, else None."""
    match = _LIGHTS.match(text.strip())
    if match is None:
        return None
    return LIGHTS_ON if match[1].lower() == "on" else LIGHTS_OFF


def rows_to_score(rows: list[tuple[float, float, str]], start: datetime | None = None) -> Score:
    """Sort timed labels into stages, events and lights; other texts are left out.

    Parameters
    ----------
    rows
        Onset, duration (both s) and label.
    start
        Clock time of the scoring's start.
    """
    stages = [StageRow(onset, length, stage) for onset, length, text in rows if (stage := stage_name(text))]
    events = [
        Event(kind, onset, length)
        for onset, length, text in rows
        if not stage_name(text) and not lights_name(text) and (kind := event_type(text))
    ]
    lights = {name: onset for onset, _, text in reversed(rows) if (name := lights_name(text)) == LIGHTS_OFF}
    lights |= {name: onset for onset, _, text in rows if (name := lights_name(text)) == LIGHTS_ON}
    return Score(tuple(stages), tuple(events), lights.get(LIGHTS_OFF), lights.get(LIGHTS_ON), start)


EVENT_LABELS = {
    "obstructive_apnea": "Obstructive apnea",
    "central_apnea": "Central apnea",
    "mixed_apnea": "Mixed apnea",
    "hypopnea": "Hypopnea",
    "rera": "RERA",
    "desaturation": "Oxygen desaturation",
    "arousal": "EEG arousal",
    "limb_movement": "Limb movement",
}
"""The names of EDF+'s standard texts, as `event_type` reads them."""
