"""The channel table and the resolver: which signals of a file stand for which channels of a model."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from core.psg.derivations import ASSUMED_CODES, Candidate, best_candidates

if TYPE_CHECKING:
    from core.psg.montage import Montage
    from core.psg.recording import SignalInfo

MODEL_CHANNELS = ("ECG", "ABD", "THX", "AF", "EOG_L", "EOG_R", "EEG_C3", "EEG_C4", "EMG_CHIN", "POS")
EXTRA_CHANNELS = ("SPO2",)


@dataclass(frozen=True)
class Channel:
    """A channel of the model.

    Parameters
    ----------
    name
        The model's name.
    kind
        ``ecg effort airflow eog eeg emg position spo2 pulse``.
    unit
        The canonical unit of its trace; empty where the unit is arbitrary.
    band
        Pass band in Hz (lower, upper); None on a side means no filter there, None as a whole no filter at all.

    Notes
    -----
    Lower corners are the AASM Manual's recommended ones (EEG and EOG 0.3 to 35 Hz, EMG 10 to 100 Hz, ECG 0.3 to
    70 Hz, effort and thermal flow 0.1 to 15 Hz; nasal pressure from direct current or 0.03 Hz, for which 0.05 Hz keeps
    the plateau of a flow-limited breath and loses the drift). Upper corners above the model's 32 Hz are set by
    resampling.
    """

    name: str
    kind: str
    unit: str
    band: tuple[float | None, float | None] | None


CHANNELS: tuple[Channel, ...] = (
    Channel("ECG", "ecg", "mV", (0.3, None)),
    Channel("ABD", "effort", "", (0.1, 15.0)),
    Channel("THX", "effort", "", (0.1, 15.0)),
    Channel("AF", "airflow", "", (0.05, 15.0)),
    Channel("EOG_L", "eog", "µV", (0.3, None)),
    Channel("EOG_R", "eog", "µV", (0.3, None)),
    Channel("EEG_C3", "eeg", "µV", (0.3, None)),
    Channel("EEG_C4", "eeg", "µV", (0.3, None)),
    Channel("EMG_CHIN", "emg", "µV", (10.0, None)),
    Channel("POS", "position", "", None),
    Channel("SPO2", "spo2", "%", None),
)
AUXILIARY_CHANNELS: tuple[Channel, ...] = (Channel("PULSE", "pulse", "bpm", None),)
"""Channels that the measurements alone use: no model takes them, and a prepared study keeps no samples of them."""
CHANNEL_BY_NAME: dict[str, Channel] = {channel.name: channel for channel in (*CHANNELS, *AUXILIARY_CHANNELS)}


@dataclass(frozen=True)
class ChannelSource:
    """Where a channel comes from.

    Parameters
    ----------
    target
        The model's channel name.
    signals
        ``(index,)``, or ``(index, index of the reference that is subtracted)``, or ``()`` when missing.
    derivation
        For example ``C3-M2``; empty when missing.
    state
        ``ok``, ``substitute`` (another derivation or sensor stands in) or ``missing``.
    reason
        Why this one, or why none.
    rate
        Sampling rate in Hz; 0 when missing.
    unit
        The unit that the file (or the montage) declares; decided anew where amplitudes contradict it.
    labels
        The labels of ``signals`` as the file has them.
    unit_is_certain
        Whether a montage states the unit, which then no amplitude contradicts.
    """

    target: str
    signals: tuple[int, ...]
    derivation: str
    state: str
    reason: str
    rate: float
    unit: str
    labels: tuple[str, ...]
    unit_is_certain: bool = False


@dataclass(frozen=True)
class ChannelMap:
    """The map of a file.

    Parameters
    ----------
    sources
        One for every channel of ``CHANNELS``, in that order.
    unused
        Labels of the signals that no channel takes.
    position_codes
        The file's position codes to the model's, as the montage or the file's own kind gives them; None: by the values.
    others
        Other sources that a channel could have, best first; none where a montage decided.
    auxiliary
        One for every channel of ``AUXILIARY_CHANNELS``, in that order.
    """

    sources: tuple[ChannelSource, ...]
    unused: tuple[str, ...]
    position_codes: Mapping[int, int] | None = field(default=None)
    others: "Mapping[str, tuple[ChannelSource, ...]]" = field(default_factory=dict)
    auxiliary: tuple[ChannelSource, ...] = ()

    @property
    def every(self) -> tuple[ChannelSource, ...]:
        """The sources of the models' channels, then the auxiliary ones."""
        return (*self.sources, *self.auxiliary)

    def shown(self) -> tuple[ChannelSource, ...]:
        """Give what a reader of the map wants: the models' channels, and the auxiliary ones that the file has."""
        return (*self.sources, *(source for source in self.auxiliary if source.signals))

    def source(self, name: str) -> ChannelSource:
        """Return the source of one channel.

        Raises
        ------
        KeyError
            If there is no channel of that name.
        """
        for source in self.every:
            if source.target == name:
                return source
        raise KeyError(name)

    def present(self) -> Iterator[ChannelSource]:
        """Yield the sources of the channels that the file has."""
        return (source for source in self.every if source.signals)


def resolve(signals: "Sequence[SignalInfo]", montage: "Montage | None" = None) -> ChannelMap:
    """Find the source of every channel among a file's signals.

    Parameters
    ----------
    signals
        The file's signals.
    montage
        A lab's own choice for some channels; it wins over what the labels say.

    Returns
    -------
    ChannelMap
        One source a channel; a channel without a usable signal is ``missing`` and says why.

    Raises
    ------
    UsageError
        If the montage names a signal that the file does not have.
    """
    channels = (*CHANNELS, *AUXILIARY_CHANNELS)
    chosen = best_candidates(signals, tuple((channel.name, channel.kind) for channel in channels))
    if montage is not None:
        chosen = chosen | montage.candidates(signals)
    by_index = {signal.index: signal for signal in signals}
    sources = [_source(channel.name, chosen[channel.name], by_index, montage) for channel in channels]
    others = {
        name: tuple(_source(name, other, by_index, None) for other in candidate.others)
        for name, candidate in chosen.items()
        if candidate.others
    }
    used = {index for source in sources for index in source.signals}
    unused = tuple(signal.label for signal in signals if signal.index not in used)
    codes, told = _position_codes(signals, montage)
    if told:
        place = [channel.name for channel in channels].index("POS")
        sources[place] = replace(sources[place], reason=sources[place].reason.replace(ASSUMED_CODES, told))
    return ChannelMap(tuple(sources[: len(CHANNELS)]), unused, codes, others, tuple(sources[len(CHANNELS) :]))


def _position_codes(signals: "Sequence[SignalInfo]", montage: "Montage | None") -> tuple[Mapping[int, int] | None, str]:
    """Return what the position codes mean and who says so; None and nothing where it has to be assumed."""
    if montage is not None and montage.position_codes:
        return montage.position_codes, "codes by the montage"
    coding = position_coding([signal.label for signal in signals])
    return (coding.codes, f"codes as in {coding.name}") if coding is not None else (None, "")


def _source(
    name: str, candidate: Candidate, by_index: "Mapping[int, SignalInfo]", montage: "Montage | None"
) -> ChannelSource:
    picked = [by_index[index] for index in candidate.signals]
    unit = picked[0].unit if picked else ""
    stated = montage.units.get(name) if montage is not None and picked else None
    return ChannelSource(
        target=name,
        signals=candidate.signals,
        derivation=candidate.derivation,
        state=candidate.state,
        reason=candidate.reason,
        rate=picked[0].rate if picked else 0.0,
        unit=unit if stated is None else stated,
        labels=tuple(signal.label for signal in picked),
        unit_is_certain=stated is not None,
    )


@dataclass(frozen=True)
class PositionCoding:
    """What a recorder's body position codes mean.

    Parameters
    ----------
    name
        Where it is used.
    labels
        Labels, in capitals, that stand together in such a file and in no other.
    codes
        The file's code to the model's: 0 right, 1 left, 2 supine, 3 prone, 4 upright.
    """

    name: str
    labels: frozenset[str]
    codes: Mapping[int, int]


# Only what is documented in public. The makers of recorders publish no codes, and most let the lab choose them: any
# other file's codes are assumed to be the published model's own, which are those of SHHS, and the map says so.
POSITION_CODINGS = (
    # SHHS polysomnography documentation (sleepdata.org/datasets/shhs): 0 right, 1 left, 2 back, 3 front.
    PositionCoding("SHHS", frozenset(("EEG(SEC)", "THOR RES", "POSITION")), {0: 0, 1: 1, 2: 2, 3: 3}),
    # MESA sleep data documentation (sleepdata.org/datasets/mesa): 0 right, 1 back, 2 left, 3 front, 4 upright.
    PositionCoding("MESA", frozenset(("EEG1", "EEG2", "EEG3", "THERM", "POS")), {0: 0, 1: 2, 2: 1, 3: 3, 4: 4}),
)


def position_coding(labels: Sequence[str]) -> PositionCoding | None:
    """Return the position codes of a cohort that its set of labels gives away, or None.

    Parameters
    ----------
    labels
        All labels of the file.
    """
    names = {label.strip().upper() for label in labels}
    return next((coding for coding in POSITION_CODINGS if coding.labels <= names), None)
