"""The channel table and the resolver: which signals of a file stand for which channels of a model."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from core.psg.derivations import Candidate, best_candidates
from core.psg.position_codes import ASSUMED_CODES, SIMULATED_UNIT, StatedCodes, coding_by_labels

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
        ``ecg effort airflow eog eeg emg position spo2 pulse leg snore motion``.
    unit
        The canonical unit of its trace; empty where the unit is arbitrary.
    band
        Pass band in Hz (lower, upper); None on a side means no filter there, None as a whole no filter at all.

    Notes
    -----
    Lower corners are the AASM Manual's recommended ones (EEG and EOG 0.3 to 35 Hz, EMG and snoring 10 to 100 Hz, ECG
    0.3 to 70 Hz, effort and thermal flow 0.1 to 15 Hz; nasal pressure from direct current or 0.03 Hz, for which 0.05 Hz
    keeps the plateau of a flow-limited breath and loses the drift). Upper corners above the model's 32 Hz are set by
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
FURTHER_CHANNELS: tuple[Channel, ...] = (
    Channel("LEG_L", "leg", "µV", (10.0, None)),
    Channel("LEG_R", "leg", "µV", (10.0, None)),
    Channel("SNORE", "snore", "", (10.0, None)),
    Channel("ACC", "motion", "", (0.1, 15.0)),
)
"""Channels that a lab's own models may take beside the eleven; a prepared study keeps those that the recording has."""
AUXILIARY_CHANNELS: tuple[Channel, ...] = (Channel("PULSE", "pulse", "bpm", None), *FURTHER_CHANNELS)
"""Channels beside the eleven. Of the pulse rate, which gives the heart rate without an ECG, no samples are kept."""
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
        The file's position codes to the model's, as the montage, the study or its labels give them; None: by the
        values.
    positive_side
        The side on which a positive position angle lies, as the montage gives it; empty where nobody says so.
    others
        Other sources that a channel could have, best first; none where a montage decided.
    auxiliary
        One for every channel of ``AUXILIARY_CHANNELS``, in that order.
    """

    sources: tuple[ChannelSource, ...]
    unused: tuple[str, ...]
    position_codes: Mapping[float, int] | None = field(default=None)
    others: "Mapping[str, tuple[ChannelSource, ...]]" = field(default_factory=dict)
    auxiliary: tuple[ChannelSource, ...] = ()
    positive_side: str = ""

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


def resolve(
    signals: "Sequence[SignalInfo]", montage: "Montage | None" = None, stated: StatedCodes | None = None
) -> ChannelMap:
    """Find the source of every channel among a file's signals.

    Parameters
    ----------
    signals
        The file's signals.
    montage
        A lab's own choice for some channels; it wins over what the labels say.
    stated
        What the study itself says of its position codes.

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
    position = next((source for source in sources if source.target == "POS" and source.signals), None)
    codes, told = _position_codes(signals, montage, stated, position)
    sources = [_told(source, told) if source.target == "POS" and source.signals else source for source in sources]
    side = montage.positive_side if montage is not None else ""
    return ChannelMap(tuple(sources[: len(CHANNELS)]), unused, codes, others, tuple(sources[len(CHANNELS) :]), side)


def _told(source: ChannelSource, codes: str) -> ChannelSource:
    """Say in the reason who explains the position codes, or that nobody does."""
    return replace(source, reason=f"{source.reason}; {codes or ASSUMED_CODES}")


def _position_codes(
    signals: "Sequence[SignalInfo]",
    montage: "Montage | None",
    stated: StatedCodes | None,
    position: ChannelSource | None,
) -> tuple[Mapping[float, int] | None, str]:
    """Return what the position codes mean and who says so; None and nothing where it has to be assumed."""
    if montage is not None and montage.position_codes:
        return montage.position_codes, "codes by the montage"
    if montage is not None and montage.positive_side:
        return None, f"an angle, positive to the {montage.positive_side}, by the montage"
    if stated is not None:
        return stated.codes, f"codes as {stated.source} names them"
    if position is not None and position.unit.strip() == SIMULATED_UNIT:
        return {float(code): code for code in range(5)}, "codes as sleepcli simulates them"
    coding = coding_by_labels([signal.label for signal in signals])
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
