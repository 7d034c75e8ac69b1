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
    "<=": r"(?:less|lower|fewer|smaller|shorter) than or equal to|"
    r"at most|at the most|no more than|not more than|not (?:above|over)|up to|maximally|a maximum of|"
    r"no higher than|not higher than|not exceeding|never (?:above|over|exceeding)|no longer than|not longer than|"
    r"<=|=<|≤",
    ">=": r"(?:more|greater|higher|larger|longer) than or equal to|"
    r"at least|at the least|no less than|not less than|no fewer than|not (?:below|under)|a minimum of|"
    r"no lower than|not lower than|never (?:below|under)|no shorter than|>=|=>|≥",
    "<": r"below|under|underneath|beneath|(?:less|lower|fewer|smaller|shorter|slower|worse) than|(?<=\W)sub-?(?=\d)|<",
    ">": r"above|over|(?:more|greater|higher|larger|longer|faster|better|bigger) than|in excess of|upwards of|"
    r"exceed(?:s|ing|ed)?|beyond|past|>",
    "=": r"exactly|equal to|equals|=",
}
"""Relation to its words; the longer ones are looked for first."""
COMPARED = "|".join(f"(?P<{name}>{COMPARISONS[sign]})" for name, sign in
                    (("le", "<="), ("ge", ">="), ("lt", "<"), ("gt", ">"), ("eq", "=")))  # fmt: skip
RELATION_OF_GROUP: Mapping[str, str] = {"le": "<=", "ge": ">=", "lt": "<", "gt": ">", "eq": "="}
OR_LESS = r"(?:or|and) (?:less|lower|below|under|fewer|shorter)"
OR_MORE = r"(?:or|and) (?:more|higher|above|over|greater|longer)|\+"
FALLS = (
    r"(?:fall|drop|dip|sink|plung|slow|desaturat|decreas|declin)(?:s|es|ing|e|ed|ped|ping)?(?: down)?|fell|"
    r"(?:go|goes|going|went) down|down"
)
RISES = (
    r"(?:ris|increas|climb|accelerat|speed|spik|jump|surg|peak|shoot|soar)(?:es|s|ing|e|ed)?(?: up| at)?|rose|shot up|"
    r"going up|up"
)
FILLERS = (
    r"is|are|was|were|be|being|of|at|that|which|value|values|level|levels|reading|readings|to|stays?|staying|remains?|"
    r"remaining|kept|the|a|rate|go|goes|going|went|gets|reaches|reaching|with|measured|currently|somewhere|anything|count|"
    r"his|her|their|its|signal|it|also|even|ever|always|running|sits?|sitting|comes?|mostly|usually|around|"
    rf"{FALLS}|{RISES}"
)


@dataclass(frozen=True)
class Quantity:
    """Something measured that a sentence can compare with a figure."""

    words: str
    """Pattern of its names."""
    low: str
    """Column for its lowest value in an epoch, for what falls or dips below."""
    high: str
    """Column for the highest, for what rises or peaks above."""
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
    usual: str = ""
    """Column for plain "below" and "above": the statistic that the field means; empty for the mean."""
    per_minute: bool = False
    """Whether a figure must say that it is a rate: `breathing above 18 a minute`."""


def _plain(words: str, column: str, unit: str = "", scale: float = 1.0) -> Quantity:
    return Quantity(words, column, column, column, unit, scale)


_SPO2 = ("spo2_min", "spo2_max", "spo2_mean", "%")  # judged by its lowest value (AASM: nadir)
_HEART = ("heart_rate_min", "heart_rate_max", "heart_rate_mean", "/min")  # by its mean
_BREATH = ("breath_rate", "breath_rate", "breath_rate", "/min")
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
        r"(?:oxygen |o2 )?desaturations?|desaturat(?:es|ed|ing)|(?:sp|sa)o2(?: saturation)?|"
        r"(?:blood )?oxygen(?:ation| saturations?| levels?| sats?)?|o2(?: sats?| saturations?| levels?)?|oximetry|"
        r"saturations?|sats?|hypoxi[ac]|hypoxaemi[ac]",
        *_SPO2,
        plausible=(40.0, 100.0),
        points_at="desaturation",
        usual="spo2_min",
    ),
    _plain(r"(?:ecg )?beat rate", "beat_rate", "/min"),
    Quantity(
        r"heart[- ]?(?:rate|beats?|frequency)(?! variab)|heart(?: is| was)? beat(?:s|ing)|pulse(?:[- ]rate)?|hr|"
        r"bradycardi[ac]|tachycardi[ac]|beats? (?:per|a|/) ?min(?:ute)?|bpm",
        *_HEART,
        plausible=(20.0, 250.0),
    ),
    _plain(r"rmssd|heart[- ]rate variability|hrv", "rmssd", TIME, 0.001),
    _plain(r"(?:thoracic|thorax|chest)(?: breathing| respiratory)? rate", "thoracic_rate", "/min"),
    _plain(r"(?:abdominal|abdomen)(?: breathing| respiratory)? rate", "abdominal_rate", "/min"),
    _plain(r"air ?flow rate", "airflow_rate", "/min"),
    Quantity(
        r"(?:respiratory|respiration|breath(?:ing)?)[- ]?(?:rates?|frequency)|(?:tachy|brady)pnoea|"
        r"(?:breaths?|respirations?)(?:/| per | a )min(?:ute)?",
        *_BREATH,
        plausible=(2.0, 80.0),
    ),
    Quantity(r"breath(?:s|es|ing)?|respiration", *_BREATH, plausible=(2.0, 80.0), per_minute=True),
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
    _plain(r"(?:rapid|fast)[- ]eye[- ]movements?(?![- ]sleep)(?: power| share)?", "eye_rapid", "%"),
    _plain(r"(?:spindle count|count of spindles|number of spindles)", "spindle_count"),
    _plain(r"(?:slow[- ]wave count|count of slow[- ]waves|number of slow[- ]waves)", "slow_wave_count"),
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

_NREM = r"(?:non[- ]?rem|nrem)"
_SLEEP = r"(?:[- ]sleep)?"
STAGES_ASKED: tuple[tuple[str, tuple[str, ...]], ...] = (
    *((rf"(?:{_NREM}[- ])?(?:sleep )?(?:stages?[- ])?n[- ]?(?:{names})|{_NREM}{_SLEEP}[- ](?:stage[- ])?(?:{names})|"
       rf"(?:sleep )?stages?[- ](?:{names})|s(?:{digits})", (stage,))
      for stage, digits, names in (("N1", "1", "1|one|i"), ("N2", "2", "2|two|ii"), ("N3", "3|4", "3|4|three|iii"))),
    (rf"deep(?:est)?(?: stages? of)? (?:{_NREM}(?: sleep)?|sleep)|slow[- ]wave[- ]?sleep|delta[- ]sleep|sws|"
     r"(?:the )?deepest (?:stage|part)(?: of (?:the )?(?:sleep|night))?", ("N3",)),
    (rf"light (?:{_NREM})(?: sleep)?", ("N1", "N2")),
    (r"(?:stable|consolidated) light sleep|intermediate (?:nrem |light )?sleep", ("N2",)),
    (r"(?:the )?light(?:est)?(?: stages?(?: of)?)?(?: sleep)(?! stage [2t])|transitional sleep|"
     r"drows(?:iness|y)(?: state)?|doz(?:ing|e)(?: off)?|(?:drift|fall|nodd?)(?:s|ing)? (?:off|asleep)(?: to sleep)?|"
     r"sleep onset(?! latency)|"
     r"(?:transition|going|passing|change)s? (?:from )?(?:being )?(?:wake\w*|awake) (?:in)?to (?:light )?sleep",
     ("N1",)),
    (rf"{_NREM}{_SLEEP}", ("N1", "N2", "N3")),
    (r"(?:un(?:scored|staged|scorable)|not scored)(?: epochs?)?", ("?",)),
    (r"(?:paradoxical )?(?:stage )?rem(?:[- ]sleep)?(?! latency| density| onset| behaviou?r)|paradoxical sleep|"
     r"rapid[- ]eye[- ]movements?[- ]sleep|dream(?:s|t|ing)?(?: sleep)?|stages? r|r sleep|(?<=in )r|(?<=during )r",
     ("R",)),
    (r"stages? w|(?:fully |wide |lying )?awake|wak(?:e(?:fulness)?|ing)(?! after)(?: state)?", ("W",)),
    (r"(?:while |is |being |when )?asleep|(?:during|in) sleep|(?:while )?sleeping|sleep epochs?|"
     r"(?:any|all) sleep(?= epochs?|$|,| in| on| at)|"
     r"sleep(?=,? (?:that|which|but|except|excluding|outside|other than|not)\b)|"
     r"(?<=supine )sleep|(?<=prone )sleep|(?<=lateral )sleep", ("N1", "N2", "N3", "R")),
)  # fmt: skip
"""Names of stages; "sleep" alone says nothing."""

_ON = r"(?:(?:lying|lies|lie|turned|while|when)? ?(?:on|onto|to) )?(?:the |his |her |their |its )?"
POSITIONS_ASKED: tuple[tuple[str, tuple[str, ...]], ...] = (
    (r"(?:lying |lies |flat )*(?:on|onto) (?:the |his |her |their )?back|(?:lying )?supine(?: position| decubitus)?|"
     r"back position|dorsal(?: position| decubitus)|face up", ("supine",)),
    (r"(?:lying |lies )?(?:on|onto) (?:the |his |her |their )?(?:stomach|belly|front|tummy|abdomen)|"
     r"(?:lying )?prone(?: position)?|ventral(?: position| decubitus)|face down", ("prone",)),
    (rf"{_ON}left(?:[- ](?:hand )?side|[- ]sided|[- ]lateral)(?: position| decubitus)?|(?:lying )?on the left",
     ("left lateral",)),
    (rf"{_ON}right(?:[- ](?:hand )?side|[- ]sided|[- ]lateral)(?: position| decubitus)?|(?:lying )?on the right",
     ("right lateral",)),
    (r"(?:lying |lies )?on (?:the |his |her |their |a |either )*sides?|"
     r"lateral(?: position| decubitus)?|side(?= sleep|[ -]\x00)|side[- ]lying",
     ("left lateral", "right lateral")),
    (r"upright|sitting(?: up)?|sat up", ("upright",)),
)  # fmt: skip
"""Names of body positions."""

_PAUSE = (
    r"(?:stop(?:s|ped|ping)?|ceas(?:es|ed|ing)|paus(?:es|ed|ing)) (?:of )?(?:the )?breathing|"
    r"(?:breathing|respiratory) (?:pause|stop|arrest|cessation)s?|(?:complete )?(?:pause|cessation|arrest)s? (?:in|of) "
    r"(?:the )?(?:breathing|airflow|respiration)|not breathing"
)
_APNEA = r"apneas?|apneic"
_RESPIRATORY = r"(?:respiratory|breathing)"
_KIND = rf"(?:(?:sleep|{_RESPIRATORY}) )?"
EVENTS_ASKED: tuple[tuple[str, tuple[str, ...]], ...] = (
    (rf"obstructive {_KIND}(?:{_APNEA})|obstructed breathing pauses?", ("obstructive_apnea",)),
    (rf"central {_KIND}(?:{_APNEA}|events?)|centrals|breathing pauses? without (?:any )?effort", ("central_apnea",)),
    (rf"mixed {_KIND}(?:{_APNEA}|events?)|mixed breathing pauses?", ("mixed_apnea",)),
    (r"(?:obstructive |central )?hypopneas?|hypopneic|partial (?:airway |airflow )?(?:obstruction|reduction)s?"
     r"(?: (?:in|of) (?:the )?(?:breathing|airflow|airway))?", ("hypopnea",)),
    (rf"obstructive (?:{_RESPIRATORY} )?events?|obstructives|"
     r"(?:upper[- ])?airway (?:obstruction|collapse)s?", ("obstructive_apnea", "hypopnea")),
    (rf"{_APNEA}|{_PAUSE}", ("apnea",)),
    (r"reras?|respiratory[- ]effort[- ]related[- ]arousals?", ("rera",)),
    (r"(?:oxygen |o2 |spo2 )?(?:desaturations?|desaturat(?:es|ed|ing))|"
     r"(?:oxygen|o2|spo2|saturation|sats?) (?:dip|drop|fall|decrease|decline)s?|"
     r"(?:fall|drop|dip|decrease|decline|loss)s? (?:in|of) (?:the )?(?:blood )?"
     r"(?:oxygen|o2|spo2|saturation|sats?)(?: saturation| level)?", ("desaturation",)),
    (r"(?:eeg |cortical |brief |spontaneous )?(?:micro[- ]?)?arousals?|(?:brief|short|micro)[- ]?awakenings?",
     ("arousal",)),
    (r"(?:periodic )?(?:limb|leg) (?:movement|jerk|kick|twitch)(?:e?s)?|plm[ds]?|periodic movements? of the legs?|"
     r"(?:kick|mov|jerk)(?:ing|es|s) (?:his |her |the |their )?legs?", ("limb_movement",)),
    (rf"{_RESPIRATORY}[- ](?:disturbance|event|disorder|abnormalit|cause|origin|trigger)(?:s|y|ies)?|"
     r"(?:sleep[- ])?disordered breathing|"
     r"(?:caused by|due to|because of|related to|from|by) (?:breathing|respiration)", ("respiratory_event",)),
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
    r"(?:[\s-]+(?:any|an?|the|in|on|during|of|with|to|by|for|being|be|have|having|at all|signs?|evidence|further|"
    r"associated|accompanying|accompanied|followed|preceded|ending|end|ended|leading|lead|resulting|result|show|showing|"
    r"contain|containing|single|other|his|her|their)\b)*[\s-]+)"
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
    "showing happened happens scored stays it's around between up fully still begun one now going well only very quite "
    "really just clearly clear definite obvious some present presence occurring occur occurs seen noted recorded "
    "evidence sign signs want need list all any overnight whole entire single each other not event events ending ended "
    "yet following position positions scorer call called certain particular long short brief prolonged together"
)
LEFT_OVER = frozenset(_EMPTY.split())
"""Words at the ends of what is left that say nothing by themselves."""
