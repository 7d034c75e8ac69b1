"""Whatever a header says and wherever a file ends: a recording that can be read, or one sentence."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from core.errors import SleepcliError
from core.psg.recording import open_recording
from tests.core.psg.edf_files import (
    RECORDING_FIELDS,
    SIGNAL_FIELDS,
    Signal,
    annotation_signal,
    edf_bytes,
    ramp,
    time_keeping,
)

LISTS = [b"+1\x1530\x14Sleep stage W\x14\x00", b"+2\x14Lights off\x14\x00"]
KEEPER = annotation_signal(time_keeping(["+0", "+1", "+2.5", "+60"], LISTS))
FILES = (
    edf_bytes([Signal("EEG C3-M2", ramp(4, 32)), Signal("SpO2", ramp(4, 1))]),
    edf_bytes([Signal("EEG C3-M2", ramp(4, 32)), KEEPER], reserved="EDF+D"),
    edf_bytes([Signal("EEG C3-M2", ramp(4, 32, bits=24))], bdf=True),
)
NUMBERS = st.one_of(
    st.integers(-(10**7), 10**8).map(str),
    st.floats(allow_nan=True, allow_infinity=True).map(lambda x: f"{x:.3g}"),
    st.sampled_from(["-1", "0", "1", "2", "4", "1e-9", "1e99", "0,5", "0.333333", "", "9999"]),
)
CONTENTS = st.one_of(NUMBERS.map(str.encode), st.binary(max_size=80), st.text(max_size=8).map(str.encode))


def readable_or_refused(path: Path) -> None:
    try:
        recording = open_recording(path)
        for info in recording.signals:
            samples = recording.read(info.index)
            assert samples.shape == (info.n_samples,)
            assert samples.dtype == np.float32
            assert not np.isinf(samples).any()
        assert all(a.text for a in recording.annotations)
    except SleepcliError as error:
        message = str(error)
    else:
        message = "read"
        assert recording.signals or recording.annotations
    assert message
    assert "\n" not in message


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("fuzz") / "night.edf"


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    content=st.sampled_from(FILES),
    fields=st.lists(st.tuples(st.sampled_from([*RECORDING_FIELDS, *SIGNAL_FIELDS]), CONTENTS), min_size=1, max_size=4),
)
def test_header_fields(path: Path, content: bytes, fields: list[tuple[tuple[str, int], bytes]]) -> None:
    count = int(content[252:256])
    data = bytearray(content)
    for (name, width), value in fields:
        offset = 0
        for layout, times in ((RECORDING_FIELDS, 1), (SIGNAL_FIELDS, count)):
            for other, size in layout:
                if (other, size) == (name, width):
                    data[offset : offset + width] = value[:width].ljust(width)
                offset += size * times
    path.write_bytes(data)
    readable_or_refused(path)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(content=st.sampled_from(FILES), data=st.data())
def test_truncation_points(path: Path, content: bytes, data: st.DataObject) -> None:
    path.write_bytes(content[: data.draw(st.integers(0, len(content)))])
    readable_or_refused(path)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(lists=st.lists(st.binary(max_size=80), min_size=4, max_size=4), mark=st.sampled_from(["", "EDF+C", "EDF+D"]))
def test_annotation_bytes(path: Path, lists: list[bytes], mark: str) -> None:
    path.write_bytes(edf_bytes([Signal("ECG", ramp(4, 8)), annotation_signal(lists)], reserved=mark))
    readable_or_refused(path)
