"""What a batch holds: subjects apart, rare epochs drawn more often, and texts of what is shown."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from core.errors import UsageError
from core.language.prompts import stage_prompts
from core.language.tokenizer import train_tokenizer
from core.psg.channels import EXTRA_CHANNELS, MODEL_CHANNELS
from core.psg.store import PreparedStudy, write_store
from training.dataset import Augmentation, Reader, blank, vary
from training.montages import WHOLE, restrict
from training.sampling import Sampler, SamplerOptions, epoch_weights
from training.studies import data_hashes, open_study, split_subjects, transition_matrix
from training.texts import TextOptions, draw_texts

CHANNELS = MODEL_CHANNELS + EXTRA_CHANNELS


@pytest.fixture
def studies(stores: tuple[Path, ...]) -> list:
    return [open_study(path) for path in stores]


def reader_of(studies: list, augmentation: Augmentation | None) -> Reader:
    texts = [text for prompts in stage_prompts().values() for text in prompts]
    return Reader(studies, CHANNELS, train_tokenizer(texts, 512, 64), TextOptions(), augmentation)


def test_no_subject_is_on_two_sides_whatever_the_order_of_the_studies():
    subjects = [f"s{i}" for i in range(20) for _ in range(2)]
    split = split_subjects(subjects, 0.2, seed=3)
    assert not set(split.training) & set(split.validation)
    assert len(split.validation) == 4
    assert split == split_subjects(subjects[::-1], 0.2, seed=3)
    with pytest.raises(UsageError):
        split_subjects(["one"], 0.5, seed=0)


def test_a_study_of_the_same_subject_is_found_by_the_separator(stores: tuple[Path, ...]):
    assert open_study(stores[0], separator="1").subject == "night"
    assert open_study(stores[0], subject="p7").subject == "p7"


def test_rare_stages_are_drawn_as_often_as_the_others_when_asked():
    stages = np.array([2] * 90 + [1] * 10, np.int8)
    weights = epoch_weights(stages, np.zeros((100, 8), bool), SamplerOptions(rare=1.0, events=0.0))
    assert weights[stages == 1].sum() == pytest.approx(weights[stages == 2].sum())
    plain = epoch_weights(stages, np.zeros((100, 8), bool), SamplerOptions(rare=0.0, events=0.0))
    assert np.ptp(plain) == 0.0


def test_a_batch_depends_on_seed_and_step_alone(studies: list):
    reader, sampler = reader_of(studies, Augmentation()), Sampler(studies, SamplerOptions(), seed=1)
    rows = sampler.draw(7, 12)
    assert rows == Sampler(studies, SamplerOptions(), seed=1).draw(7, 12)
    assert rows != sampler.draw(8, 12)
    one, two = reader.batch(rows, (1, 7)), reader.batch(rows, (1, 7))
    assert all(torch.equal(a, b) for a, b in zip(vars(one).values(), vars(two).values(), strict=True))
    assert one.signals.shape == (12, len(CHANNELS), 1920)
    assert one.captions.shape[0] == one.domains.shape[0] == 12 * TextOptions().captions
    assert ((one.truths == one.keys[:, None]).any(dim=1)).all()


def test_without_augmentation_a_batch_is_what_the_store_holds(studies: list):
    batch = reader_of(studies, None).batch([(1, 5), (0, 0)], (0,))
    assert np.array_equal(batch.signals[0].numpy(), studies[1].prepared.stack(CHANNELS, np.array([5]))[0])
    assert batch.present.min() == 1.0
    assert batch.stages.tolist() == [studies[1].stages[5], studies[0].stages[0]]


def test_a_missing_channel_is_blank_and_the_position_says_so():
    signals, present = np.ones((1, len(CHANNELS), 8), np.float32), np.ones((1, len(CHANNELS)), np.float32)
    present[0, CHANNELS.index("POS")] = present[0, CHANNELS.index("ECG")] = 0.0
    blank(signals, present, CHANNELS)
    assert (signals[0, CHANNELS.index("POS")] == -1.0).all()
    assert (signals[0, CHANNELS.index("ECG")] == 0.0).all()
    assert (signals[0, CHANNELS.index("AF")] == 1.0).all()


def test_gain_and_noise_leave_the_position_code_alone():
    signals = np.full((4, len(CHANNELS), 64), 2.0, np.float32)
    vary(signals, CHANNELS, Augmentation(), np.random.default_rng(0))
    assert (signals[:, CHANNELS.index("POS")] == 2.0).all()
    assert signals[:, 0].std() > 0
    assert np.abs(signals).max() <= 6.0


def test_lost_blocks_are_level_last_1_to_10_s_and_leave_the_position_alone():
    signals = np.full((40, len(CHANNELS), 1920), 2.0, np.float32)
    augmentation = Augmentation(gain=0.0, noise=0.0, shift=0, blocks=0.5)
    vary(signals, CHANNELS, augmentation, np.random.default_rng(0))
    lost = (signals == 0.0).sum(axis=2)
    pos = CHANNELS.index("POS")
    assert (lost[:, pos] == 0).all()
    hit = np.delete(lost, pos, axis=1)
    assert 0.4 < (hit > 0).mean() < 0.6
    assert hit[hit > 0].min() >= 64
    assert hit.max() <= 640
    assert (np.diff((signals == 0.0).astype(int), axis=2) == 1).sum(axis=2).max() <= 1


def test_facts_of_a_poor_montage_claim_nothing_that_it_cannot_show(studies: list):
    facts = studies[0].facts(0)
    assert any(event.type == "obstructive_apnea" for event in facts.events)
    assert restrict(facts, WHOLE).events == facts.events
    one = restrict(facts, frozenset({"EEG_C3"}))
    assert one.stage == facts.stage
    assert one.events == ()
    assert not one.events_scored
    assert set(one.unusable) == WHOLE - {"EEG_C3"}
    assert one.values
    assert all(name.startswith(("c3_", "slow_wave", "spindle")) for name in one.values)
    breathing = restrict(facts, frozenset({"AF", "THX", "ABD", "SPO2", "ECG", "POS"}))
    assert breathing.stage is None
    assert breathing.events == facts.events
    texts = draw_texts(one, np.random.default_rng(0), TextOptions(captions=5))
    cardiac = texts.captions[texts.domains.index(1)]
    assert "ECG" in cardiac
    assert "<" not in cardiac


def test_transitions_are_chances(studies: list):
    matrix = transition_matrix(studies)
    assert matrix.shape == (5, 5)
    assert np.allclose(matrix.sum(axis=1), 1.0)
    assert (matrix > 0).all()


def test_studies_of_one_name_keep_a_hash_each(tmp_path: Path, make_study: Callable[[str, int, int], PreparedStudy]):
    places = [tmp_path / lab / "night.psg" for lab in ("ward", "home")]
    for seed, place in enumerate(places):
        write_store(make_study("night", 4, seed), place)
    hashes = data_hashes([open_study(place) for place in places])
    assert hashes == {"ward/night.psg": f"{0:064x}", "home/night.psg": f"{1:064x}"}
