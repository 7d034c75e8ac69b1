"""Body position: a recorder's codes, levels or angles brought to the model's codes."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from core.psg.position_codes import ASSUMED_CODES, BY_VALUES

STRAY = 0.01
"""Share of values that are none of the known codes, above which that is told."""
MANY = 8
"""Different whole values above which they are an angle and no codes."""


def positions(
    samples: NDArray[np.float32], codes: Mapping[float, int] | None, positive_side: str = ""
) -> tuple[NDArray[np.float32], str]:
    """Bring body position to the model's codes.

    Parameters
    ----------
    samples
        1-D: the recorder's codes or levels, or an angle in degrees about the body's long axis (0 supine).
    codes
        The recorder's codes to ours; None where nothing says so.
    positive_side
        ``left`` or ``right``: the side on which a positive angle lies; empty where nobody says so, and then left is
        assumed. Recorders differ: the angles of SomnoPose, for one, are positive to the right.

    Returns
    -------
    tuple of array and str
        0 right, 1 left, 2 supine, 3 prone, 4 upright, −1 unknown; and a remark where the values were no
        such codes, or where nobody says what they mean.
    """
    finite = samples[np.isfinite(samples)]
    out = np.full(samples.shape, -1.0, dtype=np.float32)
    if not finite.size:
        return out, ""
    if codes is not None:
        return _decoded(samples, codes)
    different = np.unique(np.round(finite))
    if float(finite.min()) >= -1.25 and float(finite.max()) <= 4.25 and not positive_side:
        rounded = np.round(samples)
        known = (np.abs(samples - rounded) < 0.25) & (rounded >= 0)
        out[known] = rounded[known]
        return out, ASSUMED_CODES if known.any() else ""
    if different.size <= len(BY_VALUES.codes) and set(different.tolist()) <= set(BY_VALUES.codes):
        return _decoded(samples, BY_VALUES.codes)[0], f"codes as in {BY_VALUES.name}, by their values"
    if float(np.abs(finite).max()) <= 361.0 and (different.size > MANY or positive_side):
        told = "" if positive_side else "taken as an angle: 0 supine, positive to the left, both assumed"
        return _angles(samples if positive_side != "right" else -samples), told
    return out, "codes of an unknown recorder; a montage's [position] table can name them"


def _decoded(samples: NDArray[np.float32], codes: Mapping[float, int]) -> tuple[NDArray[np.float32], str]:
    """Give each sample the position of the code that it has, within a quarter of the distance between codes."""
    out = np.full(samples.shape, -1.0, dtype=np.float32)
    levels = np.array(sorted(codes))
    near = 0.25 * float(np.diff(levels).min()) if levels.size > 1 else 0.25
    met = np.zeros(samples.shape, dtype=bool)
    for level in levels.tolist():
        here = np.abs(samples - np.float32(level)) < near
        out[here] = codes[level]
        met |= here
    stray = float((~met & np.isfinite(samples)).sum() / np.isfinite(samples).sum())
    if stray <= STRAY:
        return out, ""
    return out, f"{100 * stray:.0f} % of its values are none of the known codes; the position is unknown there"


def _angles(samples: NDArray[np.float32]) -> NDArray[np.float32]:
    turned = np.mod(samples + 180.0, 360.0) - 180.0
    out = np.full(samples.shape, -1.0, dtype=np.float32)
    out[np.abs(turned) <= 45.0] = 2
    out[(turned > 45.0) & (turned < 135.0)] = 1
    out[(turned < -45.0) & (turned > -135.0)] = 0
    out[np.abs(turned) >= 135.0] = 3
    return out
