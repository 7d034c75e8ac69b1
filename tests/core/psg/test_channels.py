"""The resolver against the labels of cohorts and recorders.

A row of ``LABS`` has a file's labels and what each model channel has to be made of: one label, or a label and the
reference that is subtracted. A target that is not named has to be missing; those of ``substitutes`` have to be marked.
"""

import subprocess
import sys
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.psg.channels import CHANNELS, EXTRA_CHANNELS, MODEL_CHANNELS, ChannelMap, resolve
from core.psg.labels import normalise, read_label
from core.psg.recording import SignalInfo
from core.psg.simulate.montage import draw_montage


@dataclass(frozen=True)
class Lab:
    name: str
    labels: tuple[str, ...]
    channels: dict[str, tuple[str, ...]]
    substitutes: frozenset[str] = frozenset()
    slow: dict[str, float] = field(default_factory=dict)


def lab(name: str, labels: str, channels: str, substitutes: str = "", **slow: float) -> Lab:
    """Labels parted by ``;``, channels as ``TARGET=label`` or ``TARGET=label~reference``."""
    pairs = (item.split("=", 1) for item in channels.split(";"))
    return Lab(
        name,
        tuple(labels.split(";")),
        {target.strip(): tuple(value.split("~")) for target, value in pairs},
        frozenset(substitutes.split()),
        {key.replace("_", " "): rate for key, rate in slow.items()},
    )


LABS = (
    lab(
        "simulator",
        "EEG C3-M2;EEG C4-M1;EOG E1-M2;EOG E2-M2;EMG chin;ECG;Nasal pressure;Effort THX;Effort ABD;SpO2;Position",
        "EEG_C3=EEG C3-M2;EEG_C4=EEG C4-M1;EOG_L=EOG E1-M2;EOG_R=EOG E2-M2;EMG_CHIN=EMG chin;ECG=ECG;AF=Nasal pressure;"
        "THX=Effort THX;ABD=Effort ABD;SPO2=SpO2;POS=Position",
    ),
    lab(
        "Rechtschaffen and Kales",
        "C3-A2;C4-A1;LOC-A2;ROC-A1;CHIN EMG;EKG;AIRFLOW;THORACIC EFFORT;ABDOMINAL EFFORT;SAO2;BODY POSITION;"
        "LEG/L;SNORE",
        "EEG_C3=C3-A2;EEG_C4=C4-A1;EOG_L=LOC-A2;EOG_R=ROC-A1;EMG_CHIN=CHIN EMG;ECG=EKG;AF=AIRFLOW;THX=THORACIC EFFORT;"
        "ABD=ABDOMINAL EFFORT;SPO2=SAO2;POS=BODY POSITION",
    ),
    lab(
        "Sleep-EDF cassette",
        "EEG Fpz-Cz;EEG Pz-Oz;EOG horizontal;Resp oro-nasal;EMG submental;Temp rectal;Event marker",
        "EEG_C3=EEG Fpz-Cz;EOG_L=EOG horizontal;AF=Resp oro-nasal",
        "EEG_C3 EOG_L AF",
        Resp_oro_nasal=1.0,
        EMG_submental=1.0,
        Temp_rectal=1.0,
        Event_marker=1.0,
    ),
    lab(
        "Sleep-EDF telemetry",
        "EEG Fpz-Cz;EEG Pz-Oz;EOG horizontal;EMG submental;Marker",
        "EEG_C3=EEG Fpz-Cz;EOG_L=EOG horizontal;EMG_CHIN=EMG submental",
        "EEG_C3 EOG_L",
    ),
    lab(
        "SHHS 1",
        "SaO2;H.R.;EEG(sec);ECG;EMG;EOG(L);EOG(R);EEG;THOR RES;ABDO RES;POSITION;LIGHT;NEW AIR;OX stat",
        "SPO2=SaO2;EEG_C3=EEG(sec);EEG_C4=EEG;ECG=ECG;EMG_CHIN=EMG;EOG_L=EOG(L);EOG_R=EOG(R);THX=THOR RES;ABD=ABDO RES;"
        "POS=POSITION;AF=NEW AIR",
    ),
    lab(
        "SHHS 1, other spelling",
        "SaO2;H.R.;EEG2;ECG;EMG;EOG(L);EOG(R);SOUND;AIRFLOW;THOR RES;ABDO RES;POSITION;LIGHT;EEG",
        "SPO2=SaO2;EEG_C3=EEG2;EEG_C4=EEG;ECG=ECG;EMG_CHIN=EMG;EOG_L=EOG(L);EOG_R=EOG(R);AF=AIRFLOW;THX=THOR RES;"
        "ABD=ABDO RES;POS=POSITION",
    ),
    lab(
        "MESA",
        "EKG;EOG-L;EOG-R;EMG;EEG1;EEG2;EEG3;Pres;Flow;Snore;Thor;Abdo;Leg;Therm;Pos;EKG_Off;EOG-L_Off;EOG-R_Off;"
        "EMG_Off;"
        "EEG1_Off;EEG2_Off;EEG3_Off;Pleth;OxStatus;SpO2;HR;DHR",
        "ECG=EKG;EOG_L=EOG-L;EOG_R=EOG-R;EMG_CHIN=EMG;EEG_C4=EEG3;AF=Pres;THX=Thor;ABD=Abdo;POS=Pos;SPO2=SpO2",
    ),
    lab(
        "MrOS",
        "C3;C4;A1;A2;LOC;ROC;ECG L;ECG R;L Chin;R Chin;Airflow;Cannula Flow;Thoracic;Abdominal;Sum;Leg L;Leg R;SaO2;HR;"
        "Position;STAT",
        "EEG_C3=C3~A2;EEG_C4=C4~A1;EOG_L=LOC~A2;EOG_R=ROC~A2;ECG=ECG L~ECG R;EMG_CHIN=L Chin~R Chin;AF=Cannula Flow;"
        "THX=Thoracic;ABD=Abdominal;SPO2=SaO2;POS=Position",
    ),
    lab(
        "CFS",
        "LOC;ROC;C3;C4;M1;M2;EMG1;EMG2;EMG3;ECG1;ECG2;R-Leg;L-Leg;AIRFLOW;THOR EFFORT;ABDO EFFORT;SNORE;SUM;"
        "PositionSen;"
        "OX STATUS;PULSE;SpO2;NASAL PRES;PlethWV;Light;HRate",
        "EEG_C3=C3~M2;EEG_C4=C4~M1;EOG_L=LOC~M2;EOG_R=ROC~M2;EMG_CHIN=EMG1~EMG2;ECG=ECG1~ECG2;AF=NASAL PRES;"
        "THX=THOR EFFORT;ABD=ABDO EFFORT;POS=PositionSen;SPO2=SpO2",
    ),
    lab(
        "CHAT",
        "E1;E2;F3;F4;C3;C4;O1;O2;M1;M2;Cchin;Lchin;Rchin;ECG1;ECG2;ECG3;Lleg1;Rleg1;Airflow;Cannulaflow;Chest;"
        "ABD;Snore;"
        "Position;SAO2;Pulse;EtCO2;CapnoTrend;PTAF",
        "EEG_C3=C3~M2;EEG_C4=C4~M1;EOG_L=E1~M2;EOG_R=E2~M2;EMG_CHIN=Lchin~Rchin;ECG=ECG1~ECG2;AF=Cannulaflow;THX=Chest;"
        "ABD=ABD;POS=Position;SPO2=SAO2",
    ),
    lab(
        "Wisconsin Sleep Cohort",
        "C3_M2;O1_M2;E1;E2;chin;ECG;thorax;abdomen;nas_pres;flow;snore;position;spo2;lat",
        "EEG_C3=C3_M2;EOG_L=E1;EOG_R=E2;EMG_CHIN=chin;ECG=ECG;THX=thorax;ABD=abdomen;AF=nas_pres;POS=position;"
        "SPO2=spo2",
    ),
    lab(
        "CAP, Parma",
        "ROC-LOC;F4-C4;C4-P4;P4-O2;C4-A1;EMG1-EMG2;ECG1-ECG2;TERMISTORE;TORACE;ADDOME;Dx1-DX2;SX1-SX2;Posizione;"
        "HR;SpO2;"
        "PLETH;STAT;MIC",
        "EEG_C4=C4-A1;EOG_L=ROC-LOC;EMG_CHIN=EMG1-EMG2;ECG=ECG1-ECG2;AF=TERMISTORE;THX=TORACE;ABD=ADDOME;POS=Posizione;"
        "SPO2=SpO2",
        "EOG_L",
    ),
    lab(
        "CAP, second recorder",
        "EOG sin;EOG dx;F3-C3;C3-P3;P3-O1;CHIN1-CHIN2;EKG;Flusso;Torace;Addome;SpO2;Pulse",
        "EEG_C3=C3-P3;EOG_L=EOG sin;EOG_R=EOG dx;EMG_CHIN=CHIN1-CHIN2;ECG=EKG;AF=Flusso;THX=Torace;ABD=Addome;"
        "SPO2=SpO2",
        "EEG_C3",
    ),
    lab(
        "MASS",
        "EEG C3-CLE;EEG C4-CLE;EEG A2-CLE;EEG O1-CLE;EOG Left Horiz;EOG Right Horiz;EOG Upper Vertic;EMG Chin1;"
        "EMG Chin2;"
        "EMG Chin3;EMG Ant Tibial L;ECG ECGI;Resp Belt Abdo;Resp Belt Thor;Resp Cannula;SaO2 SaO2",
        "EEG_C3=EEG C3-CLE~EEG A2-CLE;EEG_C4=EEG C4-CLE~EEG A2-CLE;EOG_L=EOG Left Horiz;EOG_R=EOG Right Horiz;"
        "EMG_CHIN=EMG Chin1~EMG Chin2;ECG=ECG ECGI;ABD=Resp Belt Abdo;THX=Resp Belt Thor;AF=Resp Cannula;"
        "SPO2=SaO2 SaO2",
    ),
    lab(
        "ISRUC",
        "LOC-A2;ROC-A1;F3-A2;C3-A2;O1-A2;F4-A1;C4-A1;O2-A1;X1;X2;X3;X4;X5;X6;DC3;X7;X8;SaO2;DC8",
        "EOG_L=LOC-A2;EOG_R=ROC-A1;EEG_C3=C3-A2;EEG_C4=C4-A1;EMG_CHIN=X1;ECG=X2;SPO2=SaO2",
    ),
    lab(
        "HMC",
        "EEG F4-M1;EEG C4-M1;EEG O2-M1;EEG C3-M2;EMG chin;EOG E1-M2;EOG E2-M2;ECG",
        "EEG_C4=EEG C4-M1;EEG_C3=EEG C3-M2;EMG_CHIN=EMG chin;EOG_L=EOG E1-M2;EOG_R=EOG E2-M2;ECG=ECG",
    ),
    lab(
        "DREAMS",
        "ECG1-ECG2;EMG1-EMG2;EOG1-A2;EOG2-A2;FP1-A2;CZ-A1;O1-A2;VTH;VAB;NAF2P-A1;NAF1;PHONO;PR;SAO2;PULS;POS;TIBG",
        "ECG=ECG1-ECG2;EMG_CHIN=EMG1-EMG2;EOG_L=EOG1-A2;EOG_R=EOG2-A2;EEG_C3=CZ-A1;THX=VTH;ABD=VAB;AF=NAF2P-A1;"
        "SPO2=SAO2;"
        "POS=POS",
        "EEG_C3",
    ),
    lab(
        "UCDDB",
        "Lefteye;RightEye;EMG;C3A2;C4A1;ECG;SpO2;Sound;Flow;Sum;ribcage;abdo;BodyPos;Pulse",
        "EOG_L=Lefteye;EOG_R=RightEye;EMG_CHIN=EMG;EEG_C3=C3A2;EEG_C4=C4A1;ECG=ECG;SPO2=SpO2;AF=Flow;"
        "THX=ribcage;ABD=abdo;"
        "POS=BodyPos",
    ),
    lab("slpdb 01", "ECG;BP;EEG (C4-A1);Resp (nasal)", "ECG=ECG;EEG_C4=EEG (C4-A1);AF=Resp (nasal)"),
    lab(
        "slpdb 59",
        "ECG;BP;EEG (C3-O1);Resp (nasal);Resp (abdominal);EOG (right);EMG;SO2",
        "ECG=ECG;EEG_C3=EEG (C3-O1);AF=Resp (nasal);ABD=Resp (abdominal);EOG_R=EOG (right);EMG_CHIN=EMG;SPO2=SO2",
        "EEG_C3",
    ),
    lab("slpdb 32", "ECG;BP;EEG (O2-A1);Resp (chest)", "ECG=ECG;EEG_C4=EEG (O2-A1);THX=Resp (chest)", "EEG_C4"),
    lab(
        "Compumedics",
        "C3-M2;C4-M1;E1-M2;E2-M2;EMG;ECG;Nasal Pressure;Therm;THOR;ABDO;SpO2;POSITION;LEG/L;LEG/R;SOUND;PULSE;"
        "DHR;CPAP Press",
        "EEG_C3=C3-M2;EEG_C4=C4-M1;EOG_L=E1-M2;EOG_R=E2-M2;EMG_CHIN=EMG;ECG=ECG;AF=Nasal Pressure;THX=THOR;ABD=ABDO;"
        "SPO2=SpO2;POS=POSITION",
    ),
    lab(
        "Embla",
        "C3-A2;C4-A1;E1-A2;E2-A2;Chin EMG;ECG;Nasal Pressure;Thermistor;RIP.Thrx;Thorax;Abdomen;XSum;XFlow;SpO2;"
        "SpO2 B-B;"
        "Pulse;Position;Activity;Snore;Left Leg",
        "EEG_C3=C3-A2;EEG_C4=C4-A1;EOG_L=E1-A2;EOG_R=E2-A2;EMG_CHIN=Chin EMG;ECG=ECG;AF=Nasal Pressure;THX=Thorax;"
        "ABD=Abdomen;SPO2=SpO2;POS=Position",
    ),
    lab(
        "Natus SleepWorks",
        "C3-REF;C4-REF;M1-REF;M2-REF;E1-REF;E2-REF;CHIN1-REF;CHIN2-REF;EKG1-REF;EKG2-REF;L-LEG1-REF;PTAF;"
        "Airflow;Chest;Abd;"
        "OSAT;PR;Pos;Snore",
        "EEG_C3=C3-REF~M2-REF;EEG_C4=C4-REF~M1-REF;EOG_L=E1-REF~M2-REF;EOG_R=E2-REF~M2-REF;"
        "EMG_CHIN=CHIN1-REF~CHIN2-REF;"
        "ECG=EKG1-REF~EKG2-REF;AF=PTAF;THX=Chest;ABD=Abd;SPO2=OSAT;POS=Pos",
    ),
    lab(
        "Natus, everything called EEG",
        "EEG C3-Ref;EEG C4-Ref;EEG A1-Ref;EEG A2-Ref;EEG LOC-Ref;EEG ROC-Ref;EEG EKG1-Ref;EEG CHIN1-Ref;EEG CHIN2-Ref",
        "EEG_C3=EEG C3-Ref~EEG A2-Ref;EEG_C4=EEG C4-Ref~EEG A1-Ref;EOG_L=EEG LOC-Ref~EEG A2-Ref;"
        "EOG_R=EEG ROC-Ref~EEG A2-Ref;"
        "ECG=EEG EKG1-Ref;EMG_CHIN=EEG CHIN1-Ref~EEG CHIN2-Ref",
    ),
    lab(
        "Philips Alice",
        "EEG C3-A2;EEG C4-A1;EOG LOC-A2;EOG ROC-A2;EMG Chin;ECG I;Flow Patient;Effort THO;Effort ABD;SpO2;Body;"
        "Snore;RR;"
        "HR;Leg 1;Leg 2;Pressure Patient;PPG",
        "EEG_C3=EEG C3-A2;EEG_C4=EEG C4-A1;EOG_L=EOG LOC-A2;EOG_R=EOG ROC-A2;EMG_CHIN=EMG Chin;ECG=ECG I;"
        "AF=Flow Patient;"
        "THX=Effort THO;ABD=Effort ABD;SPO2=SpO2;POS=Body",
    ),
    lab(
        "Nihon Kohden",
        "POL C3;POL C4;POL A1;POL A2;POL LOC;POL ROC;POL CHIN;POL ECG;POL AIRFLOW;POL CHEST;POL ABD;POL SpO2;POL LEG-L",
        "EEG_C3=POL C3~POL A2;EEG_C4=POL C4~POL A1;EOG_L=POL LOC~POL A2;EOG_R=POL ROC~POL A2;EMG_CHIN=POL CHIN;"
        "ECG=POL ECG;"
        "AF=POL AIRFLOW;THX=POL CHEST;ABD=POL ABD;SPO2=POL SpO2",
    ),
    lab(
        "SOMNOmedics",
        "C3:A2;C4:A1;EOGl:A2;EOGr:A1;EMG1;EKG II;Druck Flow;Thorax;Abdomen;SPO2;Puls;Lage;PLMl;PLMr;Licht;"
        "Schnarch;Aktivitaet",
        "EEG_C3=C3:A2;EEG_C4=C4:A1;EOG_L=EOGl:A2;EOG_R=EOGr:A1;EMG_CHIN=EMG1;ECG=EKG II;AF=Druck Flow;THX=Thorax;"
        "ABD=Abdomen;SPO2=SPO2;POS=Lage",
    ),
    lab(
        "Nox",
        "C3-M2;C4-M1;E1-M2;E2-M2;Chin;ECG;Nasal Pressure;Thorax;Abdomen;RIP Sum;RIP Flow;SpO2;SpO2 B-B;Pulse;Pleth;"
        "Position;Audio Volume;Elevation;Heart Rate",
        "EEG_C3=C3-M2;EEG_C4=C4-M1;EOG_L=E1-M2;EOG_R=E2-M2;EMG_CHIN=Chin;ECG=ECG;AF=Nasal Pressure;THX=Thorax;"
        "ABD=Abdomen;"
        "SPO2=SpO2;POS=Position",
    ),
    lab(
        "home test",
        "Flow;Effort Thorax;SpO2;Pulse;Position;Snore;Pleth;Battery",
        "AF=Flow;THX=Effort Thorax;SPO2=SpO2;POS=Position",
    ),
    lab(
        "titration",
        "C3-M2;CPAP Flow;CPAP Pressure;CPAP Leak;Thorax;SpO2",
        "EEG_C3=C3-M2;AF=CPAP Flow;THX=Thorax;SPO2=SpO2",
    ),
    lab("frontal pair", "F3-M2;F4-M1;O1-M2;O2-M1", "EEG_C3=F3-M2;EEG_C4=F4-M1", "EEG_C3 EEG_C4"),
    lab("one signal", "EEG", "EEG_C3=EEG", "EEG_C3"),
    lab("mastoid of the same side", "C3;M1;C4", "EEG_C3=C3~M1;EEG_C4=C4~M1"),
    lab("linked ears", "C3-A1A2;C4-A1+A2", "EEG_C3=C3-A1A2;EEG_C4=C4-A1+A2"),
    lab("nothing for a model", "Pulse;Snore;Leg L;Light;CO2;Event;DC1", "EEG_C3=", ""),
)


def signals(labels: Sequence[str], rates: dict[str, float] | None = None, unit: str = "") -> list[SignalInfo]:
    return [SignalInfo(i, label, unit, (rates or {}).get(label, 256.0), 7680) for i, label in enumerate(labels)]


def made_of(channel_map: ChannelMap) -> dict[str, tuple[str, ...]]:
    return {source.target: source.labels for source in channel_map.sources if source.labels}


@pytest.mark.parametrize("row", LABS, ids=lambda row: row.name)
def test_every_lab_is_mapped(row: Lab) -> None:
    rates = {label: row.slow.get(label.replace("-", " "), 256.0) for label in row.labels}
    channel_map = resolve(signals(row.labels, rates))
    assert made_of(channel_map) == {target: labels for target, labels in row.channels.items() if labels[0]}
    assert {s.target for s in channel_map.sources if s.state == "substitute"} == row.substitutes
    assert all(source.reason for source in channel_map.sources)
    assert all((source.state == "missing") == (source.signals == ()) for source in channel_map.sources)


@pytest.mark.parametrize("row", LABS, ids=lambda row: row.name)
def test_case_and_blanks_change_nothing(row: Lab) -> None:
    rates = {label: row.slow.get(label.replace("-", " "), 256.0) for label in row.labels}
    plain = resolve(signals(row.labels, rates))
    for change in (str.upper, str.lower, lambda label: f"  {label}   "):
        changed = resolve(signals([change(label) for label in row.labels], {change(k): v for k, v in rates.items()}))
        assert [s.signals for s in changed.sources] == [s.signals for s in plain.sources]


PULSE_RATES = (
    *("Pulse", "PR", "Pulse rate", "HR", "H.R.", "Pulsfrequenz", "PulseRate", "Heart Rate", "PULSE RATE", "Puls"),
    *("pulse-rate", "SpO2 HR", "Pulse Oximeter", "HRate", "DHR", "BPM", "Herzfrequenz"),
)


@pytest.mark.parametrize("label", PULSE_RATES)
def test_a_pulse_rate_is_found_beside_the_models_channels(label: str) -> None:
    channel_map = resolve(signals([label, "SpO2"], {label: 1.0}))
    assert channel_map.source("PULSE").labels == (label,)
    assert channel_map.source("SPO2").labels == ("SpO2",)
    assert [source.target for source in channel_map.shown()] == [*(channel.name for channel in CHANNELS), "PULSE"]


@pytest.mark.parametrize(
    "label",
    ["Pleth", "PPG", "Plethysmogram", "Pulse Wave", "Pulse Amplitude", "PlethWV", "SpO2", "PTT", "Pulse Quality"],
)
def test_a_plethysmogram_is_no_pulse_rate(label: str) -> None:
    assert resolve(signals([label])).source("PULSE").state == "missing"
    assert [source.target for source in resolve(signals([label])).shown()] == [channel.name for channel in CHANNELS]


@pytest.mark.parametrize(
    ("lab", "label"), [("MESA", "HR"), ("SHHS 1", "H.R."), ("UCDDB", "Pulse"), ("home test", "Pulse")]
)
def test_cohorts_have_a_pulse_rate(lab: str, label: str) -> None:
    row = next(row for row in LABS if row.name == lab)
    assert resolve(signals(row.labels)).source("PULSE").labels == (label,)


def test_the_table_is_the_published_order() -> None:
    assert tuple(channel.name for channel in CHANNELS) == (*MODEL_CHANNELS, *EXTRA_CHANNELS)
    assert [s.target for s in resolve([]).sources] == [channel.name for channel in CHANNELS]


@pytest.mark.parametrize(
    "label",
    [
        "Thorax",
        "ABDO RES",
        "Airflow",
        "Nasal Pressure",
        "SpO2",
        "ECG",
        "EKG1-Ref",
        "POL ECG",
        "EEG ECG",
        "Pulse",
        "CO2",
        "Pleth",
        "Chest",
        "CPAP Pressure",
        "Snore",
        "Leg L",
        "Position",
        "SO2",
        "ECG V1",
        "RIP Flow",
        "EMG C7",
        "X",
        "",
        "---",
        "EDF Annotations",
    ],
)
def test_respiratory_and_cardiac_signals_are_never_eeg(label: str) -> None:
    channel_map = resolve(signals([label]))
    assert channel_map.source("EEG_C3").signals == ()
    assert channel_map.source("EEG_C4").signals == ()


@pytest.mark.parametrize("unit", ["%", "bpm", "degC", "cmH2O"])
def test_a_unit_that_is_no_voltage_is_no_eeg(unit: str) -> None:
    channel_map = resolve(signals(["C3-M2", "O2"], unit=unit))
    assert channel_map.source("EEG_C3").state == "missing"
    assert set(channel_map.unused) == {"C3-M2", "O2"}


def test_a_unit_that_is_no_voltage_is_told() -> None:
    reason = resolve(signals(["C3-M2", "O2"], unit="mmHg")).source("EEG_C3").reason
    assert reason == "'C3-M2' is in mmHg, which is no unit of an EEG"


def test_the_electrodes_of_a_net_are_no_eyes() -> None:
    net = resolve(signals([f"E{number}" for number in range(1, 257)]))
    assert not any(source.signals for source in net.sources)
    assert resolve(signals(["E1", "E2", "E3", "E4"])).source("EOG_L").labels == ("E1",)


def test_a_trend_is_no_signal_and_the_reason_says_so() -> None:
    source = resolve(signals(["EMG submental", "EEG C3-M2"], {"EMG submental": 1.0})).source("EMG_CHIN")
    assert source.state == "missing"
    assert "1 Hz" in source.reason


def test_contralateral_mastoid_is_preferred_and_direct_before_computed() -> None:
    assert resolve(signals(["C3", "M1", "M2"])).source("EEG_C3").derivation == "C3-M2"
    assert resolve(signals(["C3-M1", "C3-M2"])).source("EEG_C3").labels == ("C3-M2",)
    both = resolve(signals(["C3", "M2", "C3-M2"])).source("EEG_C3")
    assert both.labels == ("C3-M2",)


def test_a_mastoid_of_another_rate_is_not_subtracted() -> None:
    source = resolve(signals(["C3", "M2"], {"M2": 128.0})).source("EEG_C3")
    assert source.labels == ("C3",)


def test_oxygen_alone_is_no_occipital_electrode() -> None:
    assert resolve(signals(["O2", "Flow"])).source("EEG_C4").state == "missing"
    assert resolve(signals(["O2", "M1"])).source("EEG_C4").labels == ("O2", "M1")


@pytest.mark.parametrize("seed", range(40))
def test_every_montage_of_the_simulator_is_mapped(seed: int) -> None:
    rows = draw_montage(np.random.default_rng(seed)).signals
    channel_map = resolve([SignalInfo(i, row.label, row.unit, float(row.rate), 1000) for i, row in enumerate(rows)])
    assert {s.target: s.signals for s in channel_map.sources} == {row.channel: (i,) for i, row in enumerate(rows)}
    assert all(source.state == "ok" for source in channel_map.sources)


def test_of_duplicates_the_faster_is_taken() -> None:
    pair = [SignalInfo(0, "ECG", "mV", 100.0, 3000), SignalInfo(1, "ECG", "mV", 500.0, 15000)]
    assert resolve(pair).source("ECG").signals == (1,)


def test_a_signal_without_samples_is_not_taken() -> None:
    assert resolve([SignalInfo(0, "EEG C3-M2", "uV", 256.0, 0)]).source("EEG_C3").state == "missing"


def test_a_single_lateral_eeg_keeps_its_side() -> None:
    channel_map = resolve(signals(["C4-M1"]))
    assert (channel_map.source("EEG_C4").state, channel_map.source("EEG_C3").state) == ("ok", "missing")


def test_position_codes_of_mesa_are_known_by_its_labels() -> None:
    row = next(row for row in LABS if row.name == "MESA")
    assert dict(resolve(signals(row.labels)).position_codes or {}) == {0: 0, 1: 2, 2: 1, 3: 3, 4: 4}
    assert resolve(signals(row.labels)).source("POS").reason == "by its label; codes as in MESA"


def test_position_codes_that_nothing_tells_are_said_to_be_assumed() -> None:
    channel_map = resolve(signals(["Position"]))
    assert channel_map.position_codes is None
    assert "codes assumed: 0 right" in channel_map.source("POS").reason
    shhs = resolve(signals(["EEG(sec)", "EEG", "THOR RES", "ABDO RES", "POSITION"]))
    assert shhs.source("POS").reason == "by its label; codes as in SHHS"


@given(st.text(max_size=24))
def test_any_label_is_read(label: str) -> None:
    assert read_label(label).role
    assert normalise(normalise(label)) == normalise(label)


@given(st.lists(st.sampled_from(sorted({label for row in LABS for label in row.labels})), max_size=14))
def test_no_signal_stands_for_two_different_kinds(labels: list[str]) -> None:
    channel_map = resolve(signals(labels))
    actives = [source.signals[0] for source in channel_map.every if source.signals]
    assert len(actives) == len(set(actives))
    used = {index for source in channel_map.every for index in source.signals}
    assert len(channel_map.unused) == len(labels) - len(used)


def test_the_resolver_is_light() -> None:
    code = "import core.psg.channels, sys; print([m for m in ('numpy', 'scipy', 'mne', 'edfio') if m in sys.modules])"
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert shown.stdout.strip() == "[]"


@pytest.mark.parametrize(
    ("label", "target"),
    [
        ("Körperlage", "POS"),
        ("Posición", "POS"),
        ("Sättigung", "SPO2"),
        ("Saturación", "SPO2"),
        ("Tórax", "THX"),
        ("RIP.Thrx", "THX"),
        ("Abdómen", "ABD"),
        ("Débit nasal", "AF"),
        ("Nasendruck", "AF"),
        ("Pression nasale", "AF"),
    ],
)
def test_labels_with_accents_are_read_composed_and_decomposed(label: str, target: str) -> None:
    for form in ("NFC", "NFD"):
        assert resolve(signals([unicodedata.normalize(form, label)])).source(target).state == "ok"
