"""Colours of page and figure: told apart by colour-blind eyes, on white and on black.

The five stages run from light to dark as sleep deepens, and REM stands apart from them in hue and in lightness; the
types of events are the eight colours of Okabe and Ito (2008), each in a lane of its own that also bears its name.
"""

from collections.abc import Mapping
from types import MappingProxyType

LIGHT: Mapping[str, str] = MappingProxyType(
    {
        "paper": "#fbfaf7",
        "panel": "#ffffff",
        "ink": "#1b2430",
        "muted": "#5a626d",
        "rule": "#d8d5cd",
        "faint": "#efede7",
        "accent": "#0b5c8a",
        "mark": "#ffe9a8",
        "warn": "#9a4a00",
        "W": "#d9a441",
        "R": "#b3403c",
        "N1": "#9fc9e3",
        "N2": "#4a8fc1",
        "N3": "#1f3f7a",
        "unscored": "#b9b6ae",
        "obstructive_apnea": "#0072b2",
        "central_apnea": "#56b4e9",
        "mixed_apnea": "#009e73",
        "hypopnea": "#e69f00",
        "rera": "#cc79a7",
        "desaturation": "#d55e00",
        "arousal": "#1b2430",
        "limb_movement": "#8a8f98",
    }
)
"""Colours by role on a light ground."""

DARK: Mapping[str, str] = MappingProxyType(
    {
        **LIGHT,
        "paper": "#12161b",
        "panel": "#191f26",
        "ink": "#e8e5de",
        "muted": "#a3abb5",
        "rule": "#343c46",
        "faint": "#222932",
        "accent": "#7cc4ee",
        "mark": "#5a4a12",
        "warn": "#f0a860",
        "W": "#e3bb66",
        "R": "#ea7a73",
        "N1": "#bcdcf0",
        "N2": "#5fa6da",
        "N3": "#4667c4",
        "unscored": "#5a616b",
        "obstructive_apnea": "#3d9bd8",
        "central_apnea": "#8fd0f5",
        "mixed_apnea": "#2fc59a",
        "rera": "#dc94bb",
        "desaturation": "#f0813a",
        "arousal": "#e8e5de",
        "limb_movement": "#9aa1ab",
    }
)
"""Colours by role on a dark ground."""

RAMP = ((9, 16, 44), (22, 52, 104), (28, 98, 132), (56, 143, 134), (136, 185, 117), (226, 215, 118), (255, 250, 205))
"""Anchors of the spectrogram's colours, RGB: lightness alone tells the power, hue only helps."""


def css_colours() -> str:
    """Give the colours as CSS custom properties, `--N2` and the like, dark where the reader's system is dark."""
    light, dark = ("".join(f"--{name}:{colour};" for name, colour in theme.items()) for theme in (LIGHT, DARK))
    return f":root{{{light}}}@media screen and (prefers-color-scheme:dark){{:root{{{dark}}}}}"
