"""Texts of some levels alone: what a level leaves out is nowhere said, asked for or held true."""

from pathlib import Path

import numpy as np
import pytest

from core.errors import UsageError
from core.language.describe import DOMAINS
from core.language.phrases import STAGE_NAMES
from core.language.prompts import STAGE_SYNONYMS
from core.language.read_back import read_back
from core.language.words import STAGE_WORDS
from training.studies import TrainingStudy, open_study
from training.texts import EpochTexts, TextOptions, draw_texts, key_of

STAGE_EVENT = DOMAINS.index("stage_event")


@pytest.fixture(scope="module")
def study(stores: tuple[Path, ...]) -> TrainingStudy:
    return open_study(stores[0])


def draws(study: TrainingStudy, *levels: str) -> list[EpochTexts]:
    options = TextOptions(captions=3, levels=levels)
    epochs = range(len(study.stages))
    return [draw_texts(study.facts(e), np.random.default_rng([e, k]), options) for e in epochs for k in range(4)]


def test_without_the_channel_level_captions_are_of_stages_and_events_alone(study: TrainingStudy):
    for texts in draws(study, "event", "stage"):
        assert texts.domains == (STAGE_EVENT,)
        told = read_back(texts.captions[0], "stage_event")
        assert told.stage is not None
        assert not told.values
        assert not told.slots
        assert texts.key in texts.truths


def test_without_the_stage_level_no_text_names_a_stage(study: TrainingStudy):
    names = [
        *STAGE_NAMES.values(),
        *(n for bank in (STAGE_WORDS, STAGE_SYNONYMS) for each in bank.values() for n in each),
    ]
    for texts in draws(study, "channel", "event"):
        for text in (*texts.captions, texts.statement):
            assert not [name for name in names if name.lower() in text.lower()], text


def test_without_the_stage_level_epochs_of_two_stages_are_told_by_the_same_key(study: TrainingStudy):
    quiet = [e for e in range(len(study.stages)) if e % 8]
    options = TextOptions(levels=("event",), query_share=0.0, numbers_share=0.0)
    keys = {draw_texts(study.facts(e), np.random.default_rng(e), options).key for e in quiet}
    assert len({int(study.stages[e]) for e in quiet}) > 1
    assert len(keys) == 1


def test_the_truths_of_an_epoch_lose_the_stage_with_its_level(study: TrainingStudy):
    stage = key_of(f"stage {study.facts(1).stage}")
    whole, without = (
        draw_texts(study.facts(1), np.random.default_rng(0), TextOptions(levels=levels)).truths
        for levels in (("channel", "event", "stage"), ("channel", "event"))
    )
    assert stage in whole
    assert stage not in without


@pytest.mark.parametrize("levels", [(), ("stages",)])
def test_levels_that_do_not_exist_are_refused(levels: tuple[str, ...]):
    with pytest.raises(UsageError, match="caption level"):
        TextOptions(levels=levels)
