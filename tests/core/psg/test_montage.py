"""Montage files: what they change, what is wrong with them, and that a written one is read back as the same map."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import UsageError
from core.psg.channels import resolve
from core.psg.montage import Montage, read_montage, write_montage
from core.psg.recording import SignalInfo


def test_position_codes_may_stand_in_the_table_itself(tmp_path: Path) -> None:
    path = tmp_path / "lab.toml"
    path.write_text('[position]\n3 = "left"\n9 = "supine"\n')
    assert read_montage(path).position_codes == {3: 1, 9: 2}


def signals(*labels: str, unit: str = "uV") -> list[SignalInfo]:
    return [SignalInfo(i, label, unit, 256.0, 7680) for i, label in enumerate(labels)]


def written(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "lab.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_a_montage_wins_over_the_labels(tmp_path: Path) -> None:
    montage = read_montage(
        written(
            tmp_path,
            '[channels]\nEEG_C3 = { signal = "Ch 7", reference = "Ch 8" }\nECG = "ch 1"\nEEG_C4 = ""\n'
            '[units]\nECG = "mV"\n'
            '[position]\ncodes = { 1 = "supine", 2 = "left", 7 = "unknown" }\n',
        )
    )
    channel_map = resolve(signals("Ch 1", "Ch 7", "Ch 8", "C4-M1", "EMG chin"), montage)
    assert channel_map.source("EEG_C3").labels == ("Ch 7", "Ch 8")
    assert channel_map.source("EEG_C3").derivation == "Ch 7-Ch 8"
    assert channel_map.source("ECG").labels == ("Ch 1",)
    assert channel_map.source("ECG").unit == "mV"
    assert channel_map.source("EEG_C4").state == "missing"
    assert channel_map.source("EMG_CHIN").labels == ("EMG chin",)
    assert channel_map.position_codes == {1: 2, 2: 1, 7: -1}
    assert channel_map.source("ECG").reason == "chosen by the montage"


def test_a_wrong_label_gets_did_you_mean() -> None:
    with pytest.raises(UsageError, match="Did you mean 'EEG C3-M2'") as caught:
        resolve(signals("EEG C3-M2", "ECG"), Montage({"EEG_C3": ("EEG C3-M1",)}))
    assert caught.value.exit_code == 2


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('[channels]\nEEG_C8 = "C3"\n', "Did you mean 'EEG_C"),
        ("[chanels]\n", "Did you mean 'channels'"),
        ('[units]\nEKG = "mV"\n', "Did you mean 'ECG'"),
        ('[units]\nECG = "furlong"\n', "the unit 'furlong'"),
        ("channels = 3\n", "no table"),
        ("[channels]\nECG = 3\n", "neither a label"),
        ('[channels]\nECG = ["a", "b", "c"]\n', "neither a label"),
        ('[position]\ncodes = { 1 = "sideways" }\n', "not known"),
        ('[position]\ncodes = { left = "left" }\n', "no number"),
        ("[position]\ncodes = 3\n", "no table"),
        ('[position]\n0 = "upsidedown"\n', "not known"),
        ('[position]\ncode = { 1 = "left" }\n', "Did you mean 'codes'"),
        ("ECG", "is not TOML"),
    ],
)
def test_a_mistake_is_one_sentence(tmp_path: Path, text: str, expected: str) -> None:
    with pytest.raises(UsageError, match=expected):
        read_montage(written(tmp_path, text))


def test_a_montage_that_is_not_there_or_no_text(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot be read"):
        read_montage(tmp_path / "none.toml")
    (tmp_path / "lab.toml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(UsageError, match="is not TOML"):
        read_montage(tmp_path / "lab.toml")


def test_a_reference_that_does_not_fit_is_refused() -> None:
    pair = [SignalInfo(0, "C3", "uV", 256.0, 7680), SignalInfo(1, "M2", "uV", 128.0, 3840)]
    with pytest.raises(UsageError, match="rate or unit differs"):
        resolve(pair, Montage({"EEG_C3": ("C3", "M2")}))


@pytest.mark.parametrize(
    "labels",
    [
        ("C3", "C4", "M1", "M2", "LOC", "ROC", "ECG", "Pos", "SpO2"),
        ('EEG "C3"\\x', "EEG"),
        ("EKG", "EOG-L", "EEG1", "EEG2", "EEG3", "Therm", "Pos"),
        (),
    ],
)
def test_a_written_montage_gives_the_same_map(tmp_path: Path, labels: tuple[str, ...]) -> None:
    before = resolve(signals(*labels))
    write_montage(before, tmp_path / "lab.toml")
    after = resolve(signals(*labels), read_montage(tmp_path / "lab.toml"))
    assert [s.signals for s in after.sources] == [s.signals for s in before.sources]
    assert after.position_codes == before.position_codes
    assert [path.name for path in tmp_path.iterdir()] == ["lab.toml"]


@given(label=st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=16))
def test_any_label_survives_the_file(tmp_path_factory: pytest.TempPathFactory, label: str) -> None:
    if not label.strip():
        return
    path = tmp_path_factory.mktemp("montage") / "lab.toml"
    chosen = resolve(signals(label), Montage({"ECG": (label,)}))
    write_montage(chosen, path)
    assert read_montage(path).signals["ECG"] == (label,)
