"""Sizes of networks: presets, what a run folder keeps, what cannot be built."""

import json
from dataclasses import asdict, replace

import pytest

from core.errors import UsageError
from core.psg.channels import MODEL_CHANNELS
from training.config import PRESETS, ModelConfig, preset


@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_survives_json(name: str) -> None:
    config = preset(name)
    assert ModelConfig.from_json(json.loads(json.dumps(asdict(config)))) == config
    assert ModelConfig.from_json(json.loads(json.dumps(config.to_json()))) == config


def test_our_presets_see_spo2_and_the_published_one_the_ten_channels() -> None:
    assert preset("nano").channels == (*MODEL_CHANNELS, "SPO2")
    assert preset("sleeplm-base").channels == MODEL_CHANNELS


def test_an_unknown_preset_is_refused_with_the_known_ones() -> None:
    with pytest.raises(UsageError, match=r"no preset 'nanoo'.*nano, small, base, sleeplm-base"):
        preset("nanoo")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"patch_size": 50}, "1920 samples does not divide into patches of 50"),
        ({"heads": 5}, "does not divide into 5 heads"),
        ({"width": 0}, "width is 0"),
        ({"channels": ("ECG", "ECG")}, "each once"),
        ({"channels": ()}, "each once"),
    ],
)
def test_sizes_that_do_not_fit_are_refused(change: dict[str, object], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        replace(preset("tiny"), **change)


def test_a_configuration_with_a_missing_or_unknown_entry_is_refused() -> None:
    values = preset("tiny").to_json()
    with pytest.raises(UsageError, match="unknown entry 'colour'"):
        ModelConfig.from_json(values | {"colour": 1})
    del values["width"]
    with pytest.raises(UsageError, match="incomplete"):
        ModelConfig.from_json(values)
