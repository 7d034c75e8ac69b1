"""The bank of sentences about a channel's statistics: which values stand together, and in which wordings.

A wording with `{items}` lists any subset of its values, each after its word ("delta 62%"); one with `{valued}` lists
them before their noun ("62% delta"); every other wording needs all the values that it names. The first
`terse` wordings of each sort are the ones used in the slot form, which has to be short.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Item:
    """One value in a list."""

    name: str
    """Measurement name, which is also the slot's."""
    word: str
    """Stands before the value; empty where the value says what it is ("2 spindles")."""
    noun: str = ""
    """Stands after the value in a `{valued}` list; empty where that order is not used."""


@dataclass(frozen=True)
class Group:
    """Values that are told in one sentence."""

    key: str
    domain: str
    items: tuple[Item, ...]
    lists: tuple[str, ...]
    """Wordings with `{items}` or `{valued}`: any subset of the values."""
    wholes: tuple[str, ...] = ()
    """Wordings that name every value."""
    terse_lists: int = 1
    """How many of `lists` the slot form may use."""
    terse_wholes: int = 0
    """How many of `wholes` the slot form may use."""

    channel: str = ""
    """The channel that the wordings name, where another signal may stand in for it."""

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the group's measurements."""
        return tuple(item.name for item in self.items)


_BANDS = ("delta", "theta", "alpha", "sigma", "beta")


def _eye(side: str) -> Group:
    items = (
        Item(f"eog_{side}_slow", "slow", "slow-eye-movement power"),
        Item(f"eog_{side}_rapid", "rapid", "rapid-eye-movement power"),
    )
    lists = (
        f"{side} EOG {{items}}",
        f"{side} EOG: {{items}}",
        f"the {side} EOG has {{valued}}",
        f"relative power of the {side} EOG: {{items}}",
        f"{side} eye movements carry {{valued}}",
    )
    return Group(f"eog_{side}", "brain", items, lists, channel=f"EOG_{side[0].upper()}")


def _spectrum(site: str) -> Group:
    items = tuple(Item(f"{site.lower()}_{band}", band, band) for band in _BANDS)
    lists = (
        f"{site} {{items}}",
        f"{site}: {{items}}",
        f"relative power at {site}: {{items}}",
        f"at {site} the spectrum is {{valued}}",
        f"the {site} EEG has {{valued}}",
        f"power over {site} is {{valued}}",
    )
    return Group(site.lower(), "brain", items, lists, channel=f"EEG_{site}")


def _belt(part: str, body: str) -> Group:
    rate, variability = f"{part}_rate", f"{part}_variability"
    lists = (f"{part} {{items}}", f"{part}: {{items}}", f"{part} effort: {{items}}", f"on the {part} belt, {{items}}")
    wholes = (
        f"the {body} moves at {{{rate}}} with a breath-interval variability of {{{variability}}}",
        f"{part} effort cycles at {{{rate}}}, intervals varying by {{{variability}}}",
    )
    items = (Item(rate, "rate"), Item(variability, "variability"))
    return Group(part, "respiration", items, lists, wholes)


def _range(key: str, words: tuple[str, ...], ranges: tuple[str, str], channel: str = "") -> Group:
    low, mean, high = f"{key}_min", f"{key}_mean", f"{key}_max"
    items = (Item(mean, "mean"), Item(low, "minimum"), Item(high, "maximum"))
    lists = (*(f"{word} {{items}}" for word in words), f"{words[0]}: {{items}}")
    wholes = (
        f"{words[0]} {{{low}}} to {{{high}}}, mean {{{mean}}}",
        f"{words[0]} {{{mean}}}, from {{{low}}} to {{{high}}}",
        f"{ranges[0]} averages {{{mean}}} and lies between {{{low}}} and {{{high}}}",
        f"{ranges[1]} ranges from {{{low}}} to {{{high}}} with a mean of {{{mean}}}",
    )
    return Group(key, "cardiac", items, lists, wholes, terse_wholes=2, channel=channel)


GROUPS: tuple[Group, ...] = (
    _eye("left"),
    _eye("right"),
    _spectrum("C3"),
    _spectrum("C4"),
    Group(
        "slow_waves",
        "brain",
        (Item("slow_wave_count", ""), Item("slow_wave_amplitude", "slow-wave amplitude")),
        ("{items}", "slow-wave activity: {items}"),
        (
            "{slow_wave_count} of {slow_wave_amplitude}",
            "{slow_wave_count} with a mean amplitude of {slow_wave_amplitude}",
            "the EEG contains {slow_wave_count} averaging {slow_wave_amplitude}",
        ),
        terse_wholes=1,
    ),
    Group(
        "spindles",
        "brain",
        (
            Item("spindle_count", ""),
            Item("spindle_frequency", "spindle frequency"),
            Item("spindle_duration", "spindle duration"),
        ),
        ("{items}", "spindle activity: {items}"),
        (
            "{spindle_count} at {spindle_frequency} lasting {spindle_duration}",
            "{spindle_count} with a mean frequency of {spindle_frequency} and a mean duration of {spindle_duration}",
            "the EEG contains {spindle_count} near {spindle_frequency}, lasting {spindle_duration} on average",
        ),
        terse_wholes=1,
    ),
    Group(
        "beats",
        "cardiac",
        (Item("beat_rate", "beat rate"), Item("rmssd", "RMSSD")),
        ("ECG {items}", "ECG: {items}", "on the ECG, {items}"),
        ("the ECG beats at {beat_rate} with an RMSSD of {rmssd}", "the beat rate is {beat_rate} and the RMSSD {rmssd}"),
    ),
    _range("heart_rate", ("heart rate",), ("the heart rate", "heart rate"), "ECG"),
    _range("spo2", ("SpO2", "oxygen saturation"), ("oxygen saturation", "the SpO2")),
    _belt("abdominal", "abdomen"),
    _belt("thoracic", "thorax"),
    Group(
        "airflow",
        "respiration",
        (
            Item("airflow_rate", "rate"),
            Item("airflow_variability", "variability"),
            Item("flow_flatness", "flatness"),
            Item("airflow_amplitude", "amplitude"),
        ),
        ("airflow {items}", "airflow: {items}", "in the airflow, {items}"),
        (
            "the airflow cycles at {airflow_rate} with interval variability {airflow_variability}, flatness"
            " {flow_flatness} and amplitude {airflow_amplitude} of the baseline",
        ),
        channel="AF",
    ),
    Group(
        "phase",
        "respiration",
        (Item("effort_phase", "thoraco-abdominal phase"),),
        ("{items}",),
        (
            "the thoraco-abdominal phase is {effort_phase}",
            "thorax and abdomen move {effort_phase} out of phase",
            "the efforts are {effort_phase} out of phase",
        ),
    ),
    Group(
        "chin",
        "somatic",
        (
            Item("chin_median_frequency", "median frequency"),
            Item("chin_burst_ratio", "burst ratio"),
            Item("chin_burst_rate", "burst rate"),
            Item("chin_tone", "tone"),
        ),
        ("chin EMG {items}", "chin EMG: {items}", "chin muscle: {items}", "in the chin EMG, {items}"),
    ),
    Group(
        "position",
        "somatic",
        (Item("position", "body position"),),
        ("{items}",),
        ("the body position is {position}", "position: {position}", "the sleeper's position is {position}"),
        terse_wholes=2,
    ),
)
"""Every sentence about a channel's statistics, in the order in which a caption tells them."""

TREND_LEADS = {
    "heart_rate": ("heart rate", "the heart rate", "pulse"),
    "spo2": ("SpO2", "the SpO2", "oxygen saturation"),
}
"""How a sentence on the trends of a quantity begins."""

TREND_VERBS = {
    "increasing": ("rises", "increases", "climbs"),
    "decreasing": ("falls", "decreases", "declines"),
    "stable": ("stays stable", "is steady", "holds level"),
}
"""Verbs by direction; the first is the slot form's."""

STAGE_NAMES = {
    "W": "Wake",
    "N1": "Light Sleep (N1)",
    "N2": "Stable Light Sleep (N2)",
    "N3": "Deep Sleep (N3)",
    "R": "REM Sleep",
}
"""The published wording of the stages."""

STAGE_WORDINGS = ("{}", "stage: {}", "the stage is {}", "this epoch is {}", "the sleep stage of this epoch is {}")
"""Stage sentences; the first two are the slot form's."""

STAGE_UNKNOWN = ("the stage is not scored", "this epoch has no scored stage")

EVENT_NAMES = {
    "obstructive_apnea": ("an", "obstructive apnea"),
    "central_apnea": ("a", "central apnea"),
    "mixed_apnea": ("a", "mixed apnea"),
    "hypopnea": ("a", "hypopnea"),
    "rera": ("a", "respiratory effort-related arousal"),
    "desaturation": ("an", "oxygen desaturation"),
    "arousal": ("an", "arousal"),
    "limb_movement": ("a", "limb movement"),
}
"""Article and noun by event type."""

EVENT_WORDINGS = (
    "{article} {noun} from {span}",
    "{noun} from {span}",
    "there is {article} {noun} from {span}",
    "{article} {noun} occurs from {span}",
    "{article} {noun} lasts from {span}",
    "from {span} there is {article} {noun}",
)
"""Event sentences; the first two are the slot form's."""

NO_EVENTS = (
    "no events",
    "there are no events",
    "no events are scored in this epoch",
    "there is no event in this epoch",
)
EVENTS_UNSCORED = ("events are not scored", "events have not been scored")
OTHERS_UNSCORED = ("other events are not scored", "other events have not been scored")
NONE_BY_RULE = ("no {} was found by rule", "the rules found no {}")
RULE_NOUNS = {"breathing": ("apnea", "hypopnea"), "desaturation": ("oxygen desaturation",)}
"""What a rule looks for on breathing and on saturation, as its sentence lists it."""
UNRELIABLE = ("no reliable measurement in this epoch", "nothing could be measured reliably in this epoch")
NOTHING_NOTABLE = ("nothing notable", "no notable finding in these channels")
"""Said in words where the values are known and none has a clinical name."""
