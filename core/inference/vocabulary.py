"""The words of questions, as tables: quantities and units, comparisons, stages, positions, events, channels."""

from collections.abc import Mapping
from dataclasses import dataclass

NUMBER_WORDS: Mapping[str, float] = {
    **{"zero": 0.0, "one": 1.0, "two": 2.0, "three": 3.0, "four": 4.0, "five": 5.0, "six": 6.0, "seven": 7.0},
    **{"eight": 8.0, "nine": 9.0, "ten": 10.0, "eleven": 11.0, "twelve": 12.0, "fifteen": 15.0, "twenty": 20.0},
    **{"thirty": 30.0, "forty": 40.0, "fifty": 50.0, "sixty": 60.0, "seventy": 70.0, "eighty": 80.0, "ninety": 90.0},
    **{"a hundred": 100.0, "one hundred": 100.0, "hundred": 100.0, "half a": 0.5, "half an": 0.5, "a": 1.0, "an": 1.0},
    **{"half": 0.5},
}
_ALONE = sorted(set(NUMBER_WORDS) - {"a", "an", "half"}, key=lambda word: (-len(word), word))
_WORDS_FIRST = "|".join(_ALONE)
NUMBER = rf"(?:-?\d+(?:\.\d+)?|\b(?:{_WORDS_FIRST})\b|\b(?:half|an?)(?= (?:second|minute|hour)\b))"
"""A number, in figures or in words."""

UNITS: tuple[tuple[str, str, float], ...] = (
    (r"%|per ?cent|percent(?:age points?)?", "%", 1.0),
    (r"bpm|beats?(?: ?/ ?| per | a )min(?:ute)?", "/min", 1.0),
    (r"breaths?(?: ?/ ?| per | a )min(?:ute)?", "/min", 1.0),
    (r"(?:times )?(?:/ ?|per |a )min(?:ute)?", "/min", 1.0),
    (r"events?(?: ?/ ?| per | an )h(?:r|our)?|/ ?h(?:r|our)?\b|per hour|an hour(?= of sleep)", "/h", 1.0),
    (r"milliseconds?|msecs?|ms", "s", 0.001),
    (r"seconds?|secs?|s", "s", 1.0),
    (r"minutes?|mins?", "s", 60.0),
    (r"hours?|hrs?|h", "s", 3600.0),
    (r"µv|μv|uv|microvolts?", "µV", 1.0),
    (r"mv|millivolts?", "µV", 1000.0),
    (r"hz|hertz", "Hz", 1.0),
    (r"°|degrees?", "°", 1.0),
)
"""Pattern, dimension, and the factor to the dimension's own unit. The first that fits counts."""
TIME = "s"
UNIT = "(?:" + "|".join(rf"(?:{pattern})(?![a-z0-9])" for pattern, *_ in UNITS) + ")"

COMPARISONS: Mapping[str, str] = {
    "<=": r"at most|at the most|no more than|not more than|not (?:above|over)|up to|maximally|a maximum of|"
    r"no higher than|not higher than|not exceeding|never (?:above|over|exceeding)|no longer than|not longer than|"
    r"<=|=<|≤",
    ">=": r"at least|at the least|no less than|not less than|no fewer than|not (?:below|under)|a minimum of|"
    r"no lower than|not lower than|never (?:below|under)|no shorter than|>=|=>|≥",
    "<": r"below|under|underneath|beneath|less than|lower than|fewer than|smaller than|shorter than|slower than|<",
    ">": r"above|over|more than|greater than|higher than|larger than|longer than|faster than|in excess of|"
    r"exceed(?:s|ing)?|beyond|past|>",
    "=": r"exactly|equal to|equals|=",
}
"""Relation to its words; the longer ones are looked for first."""
COMPARED = "|".join(f"(?P<{name}>{COMPARISONS[sign]})" for name, sign in
                    (("le", "<="), ("ge", ">="), ("lt", "<"), ("gt", ">"), ("eq", "=")))  # fmt: skip
RELATION_OF_GROUP: Mapping[str, str] = {"le": "<=", "ge": ">=", "lt": "<", "gt": ">", "eq": "="}
OR_LESS = r"(?:or|and) (?:less|lower|below|under|fewer|shorter)"
OR_MORE = r"(?:or|and) (?:more|higher|above|over|greater|longer)|\+"
FALLS = r"(?:fall|drop|dip|go|sink|desaturat|decreas|declin)(?:s|es|ing|e|ed|ped|ping)?(?: down)?|fell|went down|down"
RISES = r"(?:ris|increas|climb|accelerat|speed)(?:es|s|ing|e|ed)?(?: up)?|rose|going up|up"
FILLERS = (
    r"is|are|was|were|be|being|of|at|that|which|value|values|level|levels|reading|readings|to|stays?|staying|remains?|"
    r"remaining|kept|the|a|rate|goes|going|went|gets|reaches|reaching|with|measured|currently|somewhere|anything|"
    rf"{FALLS}|{RISES}"
)


@dataclass(frozen=True)
class Quantity:
    """Something measured that a sentence can compare with a figure."""

    words: str
    """Pattern of its names."""
    low: str
    """Column for "below": an epoch goes below with its lowest value."""
    high: str
    """Column for "above"."""
    mean: str
    """Column for "between", and for what is equal."""
    unit: str
    """Dimension of `UNITS` that its column has; empty for a ratio or a count."""
    scale: float = 1.0
    """The column's unit in the dimension's own unit: 60 for a column in minutes."""
    plausible: tuple[float, float] = (-1e9, 1e9)
    """Figures, in the column's unit, that can be meant."""
    points_at: str = ""
    """Events that show it."""


def _plain(words: str, column: str, unit: str = "", scale: float = 1.0) -> Quantity:
    return Quantity(words, column, column, column, unit, scale)


_SPO2 = ("spo2_min", "spo2_max", "spo2_mean", "%")
_HEART = ("heart_rate_min", "heart_rate_max", "heart_rate_mean", "/min")
_BAND = r"(?: ?(?:power|activity|waves?|share|band|rhythm))*"

QUANTITIES: tuple[Quantity, ...] = (
    _plain(r"apn(?:o)?ea[- /]hypopn(?:o)?ea index|rem ahi|ahi in rem(?: sleep)?", "ahi_rem", "/h"),
    _plain(r"nrem ahi|ahi in nrem(?: sleep)?", "ahi_nrem", "/h"),
    _plain(r"\bahi", "ahi", "/h"),
    _plain(r"respiratory event index|\brei", "rei", "/h"),
    _plain(r"(?:oxygen )?desaturation index|\bodi(?: ?3)?", "odi3", "/h"),
    _plain(r"\bodi ?4", "odi4", "/h"),
    _plain(r"arousal index", "arousal_index", "/h"),
    _plain(r"(?:periodic )?(?:limb|leg) movement index|\bplmi|\bplms? index", "limb_movement_index", "/h"),
    _plain(r"total sleep time|\btst|sleep duration", "total_sleep_time", TIME, 60.0),
    _plain(r"sleep efficiency", "sleep_efficiency", "%"),
    _plain(r"sleep(?: onset)? latency", "sleep_latency", TIME, 60.0),
    _plain(r"rem(?: sleep)?(?: onset)? latency", "rem_latency", TIME, 60.0),
    _plain(r"wake after sleep onset|\bwaso", "wake_after_sleep_onset", TIME, 60.0),
    _plain(r"(?:time|minutes) (?:with (?:a )?(?:spo2|saturation) )?below 90 ?%?|\bt90", "below_90", TIME, 60.0),
    Quantity(
        r"desaturations?|desaturat(?:es|ed|ing)", *_SPO2, plausible=(40.0, 100.0), points_at="desaturation"
    ),
    Quantity(
        r"(?:sp|sa)o2|(?:blood )?oxygen(?: saturation| level| sat)?|o2(?: sat(?:uration)?)?|oximetry|"
        r"saturations?|sats?",
        *_SPO2,
        plausible=(40.0, 100.0),
        points_at="desaturation",
    ),
    _plain(r"(?:ecg )?beat rate", "beat_rate", "/min"),
    Quantity(r"heart[- ]?rate(?! variab)|pulse(?:[- ]rate)?|hr|bradycardia|tachycardia", *_HEART),
    _plain(r"rmssd|heart[- ]rate variability|hrv", "rmssd", TIME, 0.001),
    _plain(r"(?:thoracic|thorax|chest)(?: breathing| respiratory)? rate", "thoracic_rate", "/min"),
    _plain(r"(?:abdominal|abdomen)(?: breathing| respiratory)? rate", "abdominal_rate", "/min"),
    _plain(r"air ?flow rate", "airflow_rate", "/min"),
    _plain(r"(?:respiratory|respiration|breath(?:ing)?) (?:rate|frequency)", "breath_rate", "/min"),
    _plain(r"flow flat(?:ness|tening)|flow limitation", "flow_flatness"),
    _plain(r"air ?flow amplitude|breathing amplitude", "airflow_amplitude"),
    _plain(r"(?:effort |thoraco-?abdominal )phase(?: angle)?|phase angle", "effort_phase", "°"),
    _plain(r"(?:chin |submental )(?:emg )?median frequency", "chin_median_frequency", "Hz"),
    _plain(r"chin burst ratio|burst(?: intensity)? ratio", "chin_burst_ratio"),
    _plain(r"chin burst rate|burst(?: modulation)? rate", "chin_burst_rate", "Hz"),
    _plain(r"(?:chin|muscle|submental|emg)(?: emg| muscle)? (?:tone|level|activity)", "chin_tone"),
    *(_plain(rf"{side} {band}{_BAND}", f"{side}_{band}", "%")
      for side in ("c3", "c4") for band in ("delta", "theta", "alpha", "sigma", "beta")),
    *(_plain(rf"(?:relative )?{band}{_BAND}", band, "%") for band in ("delta", "theta", "alpha", "sigma", "beta")),
    _plain(r"slow eye movements?(?: power| share)?", "eye_slow", "%"),
    _plain(r"(?:rapid|fast) eye movements?(?: power| share)?", "eye_rapid", "%"),
    _plain(r"spindle frequency", "spindle_frequency", "Hz"),
    _plain(r"spindle duration", "spindle_duration", TIME),
    _plain(r"slow[- ]wave amplitude|amplitude of (?:the )?slow waves", "slow_wave_amplitude", "µV"),
    _plain(r"(?:stage |staging )?(?:probability|confidence|certainty)(?: of the stage)?", "stage_probability"),
)  # fmt: skip
"""Tried in order: a longer name stands before the shorter one that it holds."""

COUNTED: tuple[tuple[str, str], ...] = (
    (r"(?:sleep )?spindles?", "spindle_count"),
    (r"slow[- ]waves?", "slow_wave_count"),
)
"""Things that are counted, and their column."""

STAGES_ASKED: tuple[tuple[str, tuple[str, ...]], ...] = (
    (r"(?:non[- ]?rem|nrem)(?: sleep)?", ("N1", "N2", "N3")),
    (r"(?:un(?:scored|staged|scorable)|not scored)(?: epochs?)?", ("?",)),
    (r"stable light sleep|intermediate sleep|(?:sleep )?stages?[- ]n?(?:2|two|ii)|n2|s2", ("N2",)),
    (r"light sleep|transitional sleep|drowsiness|(?:sleep )?stages?[- ]n?(?:1|one|i)|n1|s1", ("N1",)),
    (r"deep sleep|slow[- ]wave sleep|delta sleep|sws|(?:sleep )?stages?[- ]n?(?:3|4|three|iii)|n3|s3", ("N3",)),
    (r"(?:stage )?rem(?:[- ]sleep)?(?! latency| density| onset| behaviou?r)|rapid[- ]eye[- ]movement sleep|"
     r"dream(?:ing)?(?: sleep)?|stage r", ("R",)),
    (r"stage w|(?:lying )?awake|wake(?:fulness)?(?! after)(?: state)?", ("W",)),
    (r"(?:while |is |being |when )?asleep|(?:during|in) sleep|while sleeping|sleep epochs?", ("N1", "N2", "N3", "R")),
)  # fmt: skip
"""Names of stages; "sleep" alone says nothing."""

_ON = r"(?:(?:lying|sleeping|lies|lie|turned|while|when)? ?(?:on|onto|to) )?(?:the |his |her |their |its )?"
POSITIONS_ASKED: tuple[tuple[str, tuple[str, ...]], ...] = (
    (r"(?:lying |sleeping |lies )?(?:on|onto) (?:the |his |her |their )?back|(?:lying |sleeping )?supine(?: position)?|"
     r"back position|dorsal position|face up", ("supine",)),
    (r"(?:lying |sleeping |lies )?(?:on|onto) (?:the |his |her |their )?(?:stomach|belly|front|tummy|abdomen)|"
     r"(?:lying |sleeping )?prone(?: position)?|face down", ("prone",)),
    (rf"{_ON}left(?:[- ](?:hand )?side|[- ]sided|[- ]lateral)(?: position| decubitus)?|(?:lying )?on the left",
     ("left lateral",)),
    (rf"{_ON}right(?:[- ](?:hand )?side|[- ]sided|[- ]lateral)(?: position| decubitus)?|(?:lying )?on the right",
     ("right lateral",)),
    (r"(?:lying |sleeping |lies )?on (?:the |his |her |their |a )?sides?|"
     r"lateral(?: position| decubitus)?|side sleeping",
     ("left lateral", "right lateral")),
    (r"upright|sitting(?: up)?|sat up", ("upright",)),
)  # fmt: skip
"""Names of body positions."""

_APNEA = r"apn(?:o)?eas?|apn(?:o)?eic (?:events?|episodes?)"
EVENTS_ASKED: tuple[tuple[str, tuple[str, ...]], ...] = (
    (rf"obstructive (?:sleep |respiratory )?(?:{_APNEA})|obstructives", ("obstructive_apnea",)),
    (rf"central (?:sleep |respiratory )?(?:{_APNEA})|centrals", ("central_apnea",)),
    (rf"mixed (?:sleep |respiratory )?(?:{_APNEA})", ("mixed_apnea",)),
    (_APNEA, ("apnea",)),
    (r"(?:obstructive |central )?hypopn(?:o)?eas?", ("hypopnea",)),
    (r"reras?|respiratory[- ]effort[- ]related[- ]arousals?", ("rera",)),
    (r"desaturations?|desaturat(?:es|ed|ing)|(?:oxygen|o2|spo2|saturation) (?:dip|drop|fall)s?|"
     r"(?:fall|drop|dip)s? (?:in|of) (?:the )?(?:blood )?(?:oxygen|o2|spo2|saturation)(?: saturation)?",
     ("desaturation",)),
    (r"(?:eeg |cortical |brief )?arousals?", ("arousal",)),
    (r"(?:periodic )?(?:limb|leg) (?:movement|jerk)s?|plms?", ("limb_movement",)),
    (r"(?:respiratory|breathing)[- ](?:disturbance|event)s?|breathing disorders?", ("respiratory_event",)),
    (r"(?:scored |sleep )?events?(?! index)", ("event",)),
)  # fmt: skip
"""Names of events, and the groups of `core.inference.epoch_table.EVENT_GROUPS` that they mean."""

SEVERAL: Mapping[str, tuple[str, float]] = {
    r"several|multiple|repeated|recurrent": (">=", 2.0),
    r"(?:only one|exactly one|a single|just one)": ("=", 1.0),
}
"""Words for a count."""

NOT = (
    r"(?:\b(?:no|not|non|without|never|neither|nor|lacking|excluding|except(?:ing)?(?: for)?|outside(?: of)?|"
    r"other than|anything but|free (?:of|from)|(?:an? |the )?(?:absence|lack) of|devoid of|isn't|aren't|off)\b"
    r"(?:[\s-]+(?:any|an?|the|in|on|during|of|with|being|signs?|evidence|further|associated|accompanying|his|her|their)\b)*"
    r"[\s-]+)"
)
"""What turns the next thing that is named into its opposite."""

CHANNELS_ASKED: tuple[tuple[str, str], ...] = (
    (r"(?:left eog|e1|eog left)", "eog_l"),
    (r"(?:right eog|e2|eog right)", "eog_r"),
    (r"(?:eeg )?c3(?: eeg)?", "eeg_c3"),
    (r"(?:eeg )?c4(?: eeg)?", "eeg_c4"),
    (r"chin(?: emg)?|emg", "emg_chin"),
    (r"ecg|ekg", "ecg"),
    (r"abdominal (?:belt|effort)|abdomen belt", "abd"),
    (r"thoracic (?:belt|effort)|thorax belt|chest belt", "thx"),
    (r"air ?flow (?:signal|channel|sensor)|nasal cannula|nasal pressure(?: signal)?|cannula|thermistor", "af"),
    (r"position (?:sensor|signal|channel)", "pos"),
    (r"oximeter|(?:spo2|oximetry|saturation) (?:sensor|signal|channel|probe)", "spo2"),
)
"""Names of channels, and the beginning of their `_state` column."""

STATES_ASKED: tuple[tuple[str, str], ...] = (
    (r"missing|absent|not there|lost", "missing"),
    (r"flat", "flat"),
    (r"clipped|clipping|saturated|overdriven", "clipped"),
    (r"detached|disconnected|unplugged|off|loose|fallen off", "disconnected"),
    (r"mains(?: noise| hum)?|line noise|hum", "mains"),
    (r"artefacts?|artifacts?|artefactual|artifactual|noisy", "artefact"),
    (r"good|clean|usable|intact|fine|ok", "ok"),
)
"""States of a channel."""

NIGHT_PARTS: Mapping[str, float] = {"half": 1 / 2, "third": 1 / 3, "quarter": 1 / 4}
PART_NUMBERS: Mapping[str, int] = {
    **{"first": 0, "early": 0, "second": 1, "middle": 1, "third": 2, "fourth": 3, "last": -1, "final": -1, "late": -1},
    "latter": -1,
}

_EMPTY = (
    "a about above across after all also an and any are as at be been before being both but by does during each either "
    "episode episodes epoch epochs every everything few find for from get give given had has have having he her him "
    "his how i in into is it its list look lying me moment moments my night nights of on once or out over part parts "
    "patient patients period periods person persons phase phases please recording recordings same scored search "
    "section sections segment segments she show sleep sleeper sleeps sleeping some somebody someone stage stages "
    "studies study subject subjects that the their them then there these they this those time times to together was "
    "were what when whenever where which while who whose with within would you lasting duration accompanied followed "
    "showing happened happens scored stays it's around between"
)
LEFT_OVER = frozenset(_EMPTY.split())
"""Words at the ends of what is left that say nothing by themselves."""
