"""Label sets as the NSRR documents them, cohort by cohort: each is mapped, and nothing is taken for another thing.

Source: the pages "Montage and sampling rate information" and "Technical notes" of sleepdata.org/datasets (on
github.com/nsrr, repositories `*-documentation`), which name the labels and the electrodes behind them.
"""

import pytest

from core.psg.channels import FURTHER_CHANNELS, resolve
from core.psg.recording import SignalInfo

FURTHER = tuple(channel.name for channel in FURTHER_CHANNELS)
COHORTS = {
    "SHHS1": (
        "SaO2;H.R.;EEG (sec);EEG;ECG;EOG(L);EOG(R);EMG;Thor RES;Abdo RES;Position;Light;New Air;OX STAT",
        "ECG=ECG;ABD=Abdo RES;THX=Thor RES;AF=New Air;EOG_L=EOG(L);EOG_R=EOG(R);"
        "EEG_C3=EEG (sec);EEG_C4=EEG;EMG_CHIN=EMG;POS=Position;SPO2=SaO2;PULSE=H.R.",
    ),
    "SHHS2": (
        "SaO2;PR;EEG (sec);EEG;EMG;EOG(L);EOG(R);ECG;Airflow;Thor RES;Abdo RES;Position;Light;OX STAT",
        "ECG=ECG;ABD=Abdo RES;THX=Thor RES;AF=Airflow;EOG_L=EOG(L);EOG_R=EOG(R);"
        "EEG_C3=EEG (sec);EEG_C4=EEG;EMG_CHIN=EMG;POS=Position;SPO2=SaO2;PULSE=PR",
    ),
    "HAASSA": (
        "SaO2;H.R;EEG(sec);ECG;EMG;EOG(L);EOG(R);EEG;Airflow;Thor Res;Abdo Res;Position;Light;Ox stat",
        "ECG=ECG;ABD=Abdo Res;THX=Thor Res;AF=Airflow;EOG_L=EOG(L);EOG_R=EOG(R);"
        "EEG_C3=EEG(sec);EEG_C4=EEG;EMG_CHIN=EMG;POS=Position;SPO2=SaO2;PULSE=H.R",
    ),
    "MESA": (
        "EKG;E1;E2;Chin;EEG1;EEG2;EEG3;Flow;Snore;Thor;Abdo;Leg;Aux_AC;Pos;Pleth;OxStatus;SpO2;HR;DHR",
        "ECG=EKG;ABD=Abdo;THX=Thor;AF=Flow;EOG_L=E1;EOG_R=E2;EEG_C4=EEG3;EMG_CHIN=Chin;POS=Pos;SPO2=SpO2;PULSE=HR",
    ),
    "SOF": (
        "Position;Leg/L;Leg/R;C3;C4;A1;A2;ROC;LOC;ECG1;ECG2;L Chin;R Chin;Airflow;"
        "Thoracic;Abdominal;STAT;HR;SAO2;Cannula Flow",
        "ECG=ECG1~ECG2;ABD=Abdominal;THX=Thoracic;AF=Cannula Flow;EOG_L=LOC~A2;EOG_R=ROC~A2;"
        "EEG_C3=C3~A2;EEG_C4=C4~A1;EMG_CHIN=L Chin~R Chin;POS=Position;SPO2=SAO2;PULSE=HR",
    ),
    "MrOS1": (
        "Position;Leg L;Leg R;C3;C4;A1;A2;ROC;LOC;ECG L;ECG R;L Chin;R Chin;Airflow;"
        "SUM;Thoracic;Abdominal;STAT;HR;SAO2;Cannula Flow;DHR",
        "ECG=ECG L~ECG R;ABD=Abdominal;THX=Thoracic;AF=Cannula Flow;EOG_L=LOC~A2;"
        "EOG_R=ROC~A2;EEG_C3=C3~A2;EEG_C4=C4~A1;EMG_CHIN=L Chin~R Chin;POS=Position;"
        "SPO2=SAO2;PULSE=HR",
    ),
    "MrOS2": (
        "Position;Leg L;Leg R;C3;C4;M1;M2;E2;E1;ECG L;ECG R;L Chin;R Chin;Airflow;"
        "SUM;Chest;ABD;STAT;HR;SpO2;Cannula Flow;DHR",
        "ECG=ECG L~ECG R;ABD=ABD;THX=Chest;AF=Cannula Flow;EOG_L=E1~M2;EOG_R=E2~M2;"
        "EEG_C3=C3~M2;EEG_C4=C4~M1;EMG_CHIN=L Chin~R Chin;POS=Position;SPO2=SpO2;PULSE=HR",
    ),
    "CFS": (
        "C3;C4;A1;A2;LOC;ROC;ECG2;ECG1;EMG1;EMG2;EMG3;L Leg;R Leg;Airflow;"
        "Thor Effort;Abdo Effort;Sum;Snore;Position;Ox Status;Pulse;SpO2;Nasal Pres;"
        "PlethWV",
        "ECG=ECG1~ECG2;ABD=Abdo Effort;THX=Thor Effort;AF=Nasal Pres;EOG_L=LOC~A2;"
        "EOG_R=ROC~A2;EEG_C3=C3~A2;EEG_C4=C4~A1;EMG_CHIN=EMG1~EMG2;POS=Position;SPO2=SpO2;"
        "PULSE=Pulse",
    ),
    "CCSHS": (
        "C3;C4;A1;A2;LOC;ROC;EMG1;EMG2;EMG3;ECG1;ECG2;ABDO EFFORT;THOR EFFORT;SUM;"
        "SpO2;AIRFLOW;SNORE;NASAL PRES;LEFT LEG1;LEFT LEG2;RIGHT LEG1;RIGHT LEG2;"
        "POSITION;PULSE;OX STATUS;PlethWV;Light;HRate",
        "ECG=ECG1~ECG2;ABD=ABDO EFFORT;THX=THOR EFFORT;AF=NASAL PRES;EOG_L=LOC~A2;"
        "EOG_R=ROC~A2;EEG_C3=C3~A2;EEG_C4=C4~A1;EMG_CHIN=EMG1~EMG2;POS=POSITION;SPO2=SpO2;"
        "PULSE=PULSE",
    ),
    "CHAT": (
        "E1;E2;F3;F4;C3;C4;T3;T4;O1;O2;M1;M2;Lchin;Rchin;Cchin;ECG1;ECG2;ECG3;"
        "RLeg1;Rleg2;LLeg1;LLeg2;Airflow;Cannula Flow;Chest;ABD;SUM;SpO2;Pleth;"
        "Position;Cap;EtCO2;Snore",
        "ECG=ECG1~ECG2;ABD=ABD;THX=Chest;AF=Cannula Flow;EOG_L=E1~M2;EOG_R=E2~M2;"
        "EEG_C3=C3~M2;EEG_C4=C4~M1;EMG_CHIN=Lchin~Rchin;POS=Position;SPO2=SpO2",
    ),
    "WSC Comet": (
        "E1;E2;F3_M2;Fz_M2;Cz_M2;C3_M2;Pz_M2;O1_M2;cchin_l;lleg_r;ECG;snore;flow;"
        "nas_pres;thorax;abdomen;sum;position;spo2",
        "ECG=ECG;ABD=abdomen;THX=thorax;AF=nas_pres;EOG_L=E1;EOG_R=E2;EEG_C3=C3_M2;"
        "EMG_CHIN=cchin_l;POS=position;SPO2=spo2",
    ),
    "WSC Heritage": (
        "E1;E2;C3_M2;O1_M2;chin;lleg_r;snore;ECG;nasalflow;oralflow;nas_pres;thorax;abdomen;sum;position;spo2",
        "ECG=ECG;ABD=abdomen;THX=thorax;AF=nas_pres;EOG_L=E1;EOG_R=E2;EEG_C3=C3_M2;"
        "EMG_CHIN=chin;POS=position;SPO2=spo2",
    ),
    "HomePAP": (
        "E1;E2;Chin;F4;C4;O2;F3;C3;O1;ECG;Pulse;Pleth;LLeg;RLeg;Snore;Airflow;"
        "CannulaFlow;Sum;Chest;Abd;XFlow;SAO2;Leak;Position;MaskFlow",
        "ECG=ECG;ABD=Abd;THX=Chest;AF=CannulaFlow;EOG_L=E1;EOG_R=E2;EEG_C3=C3;EEG_C4=C4;"
        "EMG_CHIN=Chin;POS=Position;SPO2=SAO2;PULSE=Pulse",
    ),
    "numom2b": (
        "thorax;abdomen;sum;spo2;pleth;pulse;snore;nas_pres;flow;ECG;position;activity",
        "ECG=ECG;ABD=abdomen;THX=thorax;AF=nas_pres;POS=position;SPO2=spo2;PULSE=pulse",
    ),
    "numom2b raw": (
        "Nasal;EKG;Thorax;Abdomen;Snore;SpO2;Pulse;RD-Pleth;Activity;Position;Sum;DHR",
        "ECG=EKG;ABD=Abdomen;THX=Thorax;AF=Nasal;POS=Position;SPO2=SpO2;PULSE=Pulse",
    ),
    "HeartBEAT": (
        "Nasal;Abdomen;Thorax;Snore;SpO2;Pulse;RD-Pleth;Position;EKG",
        "ECG=EKG;ABD=Abdomen;THX=Thorax;AF=Nasal;POS=Position;SPO2=SpO2;PULSE=Pulse",
    ),
    "HCHS": (
        "A-Pulse;A-SpO2;A-Snore;A-Flow;HMov;HPos;FVP/A-Effort",
        "AF=A-Flow;SPO2=A-SpO2;PULSE=A-Pulse",
    ),
    "PATS": (
        "Fpz;Cz;E1;E2;F3;F4;C3;C4;O1;O2;M1;M2;lchin;rchin;cchin;ECG1;ECG2;ECG3;"
        "rleg1;rleg2;lleg1;lleg2;snore;flow;nas_pres;thorax;abdomen;sum;spo2;position;"
        "etco2;tcco2;cap",
        "ECG=ECG1~ECG2;ABD=abdomen;THX=thorax;AF=nas_pres;EOG_L=E1~M2;EOG_R=E2~M2;"
        "EEG_C3=C3~M2;EEG_C4=C4~M1;EMG_CHIN=lchin~rchin;POS=position;SPO2=spo2",
    ),
    "ABC": (
        "F3;F4;C3;C4;O1;O2;M1;M2;E1;E2;ECG1;ECG2;LLeg1;LLeg2;RLeg1;RLeg2;Chin1;"
        "Chin2;Chin3;Airflow;Abdo;Thorax;Snore;Sum;PosSensor;Ox Status;Pulse;SpO2;"
        "Nasal Pressure;CPAP Flow;CPAP Press;Pleth;Derived HR;Light;Manual Pos;"
        "Respiratory Rate",
        "ECG=ECG1~ECG2;ABD=Abdo;THX=Thorax;AF=Nasal Pressure;EOG_L=E1~M2;EOG_R=E2~M2;"
        "EEG_C3=C3~M2;EEG_C4=C4~M1;EMG_CHIN=Chin1~Chin2;POS=PosSensor;SPO2=SpO2;PULSE=Pulse",
    ),
    "BestAIR": (
        "Snore;Sum;Pulse;SpO2;Activity;Nasal;EKG;Thorax;Abdomen;RD-Pleth;Thermistor;"
        "DHR;Gravity X;Gravity Y;Battery;SpO2-BB;SpO2-Quality;RD-Quality;Elevation;"
        "Position;Phase;RMI;RR;Tidal Volume;XFlow",
        "ECG=EKG;ABD=Abdomen;THX=Thorax;AF=Nasal;POS=Position;SPO2=SpO2;PULSE=Pulse",
    ),
}
EEG_LESS = {"numom2b", "numom2b raw", "HeartBEAT", "HCHS", "BestAIR"}
"""Home sleep apnea tests."""


@pytest.mark.parametrize("name", COHORTS)
def test_a_documented_cohort_is_mapped(name: str) -> None:
    labels, expected = (text.split(";") for text in COHORTS[name])
    found = resolve([SignalInfo(i, label, "", 256.0, 7680) for i, label in enumerate(labels)])
    made = {source.target: "~".join(source.labels) for source in found.shown() if source.labels}
    made = {target: label for target, label in made.items() if target not in FURTHER}
    assert made == dict(pair.split("=") for pair in expected)
    assert not any(source.state == "substitute" for source in found.sources)
    assert (found.source("EEG_C3").state, found.source("EEG_C4").state) == ("missing", "missing") or (
        name not in EEG_LESS
    )


@pytest.mark.parametrize("name", COHORTS)
def test_sums_and_states_stand_for_nothing_and_snores_and_legs_for_themselves(name: str) -> None:
    labels = COHORTS[name][0].split(";")
    found = resolve([SignalInfo(i, label, "", 256.0, 7680) for i, label in enumerate(labels)])
    idle = [label for label in labels if any(word in label.casefold() for word in ("sum", "stat", "quality"))]
    assert set(idle) <= set(found.unused)
    for source in found.every:
        words = " ".join(source.labels).casefold()
        assert not ("snore" in words or "leg" in words) or source.target in FURTHER


@pytest.mark.parametrize(
    ("labels", "left", "right"),
    [
        (("L-Leg", "R-Leg"), "L-Leg", "R-Leg"),
        (("LAT", "RAT"), "LAT", "RAT"),
        (("LEFT LEG1", "LEFT LEG2", "RIGHT LEG1", "RIGHT LEG2"), "LEFT LEG1~LEFT LEG2", "RIGHT LEG1~RIGHT LEG2"),
        (("EMG Tib. R", "EMG Tib. L"), "EMG Tib. L", "EMG Tib. R"),
        (("Leg 1", "Leg 2"), "Leg 1", "Leg 2"),
        (("Legs",), "Legs", ""),
        (("EMG Arm", "Flex L", "EMG Chin"), "", ""),
    ],
)
def test_the_legs_are_told_apart(labels: tuple[str, ...], left: str, right: str) -> None:
    found = resolve([SignalInfo(i, label, "uV", 256.0, 7680) for i, label in enumerate(labels)])
    assert ["~".join(found.source(name).labels) for name in ("LEG_L", "LEG_R")] == [left, right]
