import numpy as np
import pytest

from core.language.epochs import nearest


def by_sample(values: np.ndarray, rate: float, wanted: float, size: int) -> np.ndarray:
    """The value at the middle of each sample, one by one."""
    places = np.floor((np.arange(size) + 0.5) * rate / wanted)
    return np.array([place < len(values) and bool(values[int(place)]) for place in places])


@pytest.mark.parametrize("rates", [(256.0, 100.0), (100.0, 256.0), (1 / 30, 64.0), (199.98, 16.0), (10.0, 10.0)])
@pytest.mark.parametrize("share", [0.0, 0.02, 0.5, 0.98, 1.0])
def test_a_mask_is_carried_to_another_rate_sample_by_sample(rates: tuple[float, float], share: float) -> None:
    rate, wanted = rates
    count = max(3, int(40 * rate))
    values = np.random.default_rng(1).random(count) < share
    for seconds in (0.0, 39.0, 41.5):
        size = int(seconds * wanted)
        np.testing.assert_array_equal(nearest(values, rate, wanted, size), by_sample(values, rate, wanted, size))
