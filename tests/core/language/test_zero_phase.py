import numpy as np
import pytest
from scipy import signal

from core.language.zero_phase import PIECE, zero_phase

SECTIONS = {
    "band": signal.butter(2, (3.0, 25.0), "bandpass", fs=256, output="sos"),
    "low": signal.butter(3, 10.0, "lowpass", fs=256, output="sos"),
}


@pytest.mark.parametrize("kind", SECTIONS)
@pytest.mark.parametrize("count", [30, 1000, PIECE - 5, 2 * PIECE + 17])
@pytest.mark.parametrize("precision", [np.float32, np.float64])
def test_every_bit_is_scipys(kind: str, count: int, precision: type) -> None:
    samples = (np.random.default_rng(count).standard_normal(count) + 50).astype(precision)
    before = samples.copy()
    np.testing.assert_array_equal(zero_phase(SECTIONS[kind], samples), signal.sosfiltfilt(SECTIONS[kind], samples))
    np.testing.assert_array_equal(samples, before)


def test_too_few_samples_are_refused_as_scipy_does() -> None:
    few = np.zeros(15)
    with pytest.raises(ValueError, match="padlen"):
        signal.sosfiltfilt(SECTIONS["band"], few)
    with pytest.raises(ValueError, match="too few"):
        zero_phase(SECTIONS["band"], few)
