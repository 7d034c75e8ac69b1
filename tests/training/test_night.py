"""Training the night model on studies whose spectrum shows the stage and whose breathing stops in events."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from core.errors import UsageError
from core.language.band_course import BANDS, N_FEATURES
from core.language.event_course import COLUMNS_OF
from core.psg.scoring import EVENT_TYPES, Event
from training.night import (
    EVENTS_FILE,
    META,
    STAGES_FILE,
    NightEvent,
    NightOptions,
    choose_thresholds,
    load_part,
    train_night,
)
from training.night_events import UNKNOWN, EventCourse, EventOptions, EventSampler, event_loss, event_targets
from training.night_stages import StageOptions, StageSampler, stage_scores
from training.scored_courses import ScoredCourse
from training.studies import open_study

SMALL_STAGES = StageOptions(passes=30, batch=8, lengths=(24, 40), members=2, plain=1, folds=2)
SMALL_EVENTS = EventOptions(steps=4, batch=2, length=120, width=8, members=1)


@pytest.fixture(scope="module")
def run(stores: tuple[Path, ...], tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[NightEvent]]:
    out = tmp_path_factory.mktemp("night") / "run"
    torch.set_num_threads(1)
    options = NightOptions(stores, out, held_out=0.34, stages=SMALL_STAGES, events=SMALL_EVENTS)
    return out, list(train_night(options))


def test_stages_that_the_spectrum_shows_are_learned(run: tuple[Path, list[NightEvent]]) -> None:
    figures = run[1][-1].figures["stages"]["held-out studies"]
    assert figures["kappa"] > 0.8
    assert figures["subjects"] == 1


def test_the_run_tells_its_data_and_names_no_held_out_subject(run: tuple[Path, list[NightEvent]]) -> None:
    text = (run[0] / META).read_text()
    meta = json.loads(text)
    assert sorted(meta["data"]) == ["night1", "night2", "night3"]
    assert all(len(digest) == 64 for digest in meta["data"].values())
    assert [event.part for event in run[1] if event.progress == 1.0][-1] == "done"


def test_a_part_is_read_back_with_the_same_scores(run: tuple[Path, list[NightEvent]]) -> None:
    net, _ = load_part(run[0], "stages") or pytest.fail("no stages")
    again, _ = load_part(run[0], "stages") or pytest.fail("no stages")
    features = torch.randn(1, 30, N_FEATURES)
    assert torch.equal(net(features), again(features))
    assert not net.training


def test_the_same_seed_gives_the_same_network(stores: tuple[Path, ...], tmp_path: Path) -> None:
    quick = replace(SMALL_STAGES, passes=2, members=1, folds=1)
    nets = []
    for name in ("a", "b"):
        list(train_night(NightOptions(stores, tmp_path / name, stages=quick, events=replace(SMALL_EVENTS, steps=1))))
        nets.append(load_part(tmp_path / name, "stages"))
    assert nets[0] is not None
    assert nets[1] is not None
    for ours, theirs in zip(nets[0][0].parameters(), nets[1][0].parameters(), strict=True):
        assert torch.equal(ours, theirs)


def test_nothing_to_learn_from_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(UsageError):
        list(train_night(NightOptions((tmp_path,), tmp_path / "run")))


def course(n: int = 300, seed: int = 0) -> ScoredCourse:
    rng = np.random.default_rng(seed)
    eegs = rng.standard_normal((2, n, len(BANDS))).astype(np.float32)
    return ScoredCourse("night", "one", eegs, eegs[0], rng.integers(0, 5, n))


def test_stretches_keep_each_epoch_with_its_stage() -> None:
    night = course()
    night.eegs[:] = night.stages[None, :, None] + 0.01 * night.eegs  # every band tells the stage
    sampler = StageSampler([night], replace(SMALL_STAGES, splice=0.5), seed=1)
    for _ in range(5):
        features, stages = sampler()
        for row, told in zip(features.numpy(), stages.numpy(), strict=True):
            seen = (row[:, -2] > 0) & (told >= 0)
            means = [row[seen & (told == stage), 0].mean() for stage in range(5) if (seen & (told == stage)).sum() > 1]
            assert means == sorted(means)


def test_scores_are_normalised_and_need_no_eog() -> None:
    from training.night_stages import stage_network

    scores = stage_scores(stage_network(replace(SMALL_STAGES, members=1)), course(), [0, 1], with_eog=False)
    assert np.exp(scores).sum(axis=1) == pytest.approx(1.0, abs=1e-5)


def test_the_odds_of_a_stage_move_from_how_often_it_was_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    from training import night_stages

    monkeypatch.setattr(night_stages, "COUNTED", 60)
    options = replace(SMALL_STAGES, members=1, plain=0, folds=1, trimmed=1.0, shares=(0.2, 0.2, 0.2, 0.2, 0.2))
    stages = np.r_[np.zeros(400, int), np.resize([1, 2, 3, 4], 200), np.zeros(400, int)]  # a long day around a nap
    night = replace(course(1000), stages=stages)
    net = night_stages.stage_network(options)
    before = net.networks()[0].output.bias.detach().numpy().copy()
    night_stages.expect_shares(net, [night], options)
    moved = net.networks()[0].output.bias.detach().numpy() - before
    sampler = StageSampler([night], options, seed=7)
    drawn = np.concatenate([sampler()[1].numpy().ravel() for _ in range(60)])
    shares = np.bincount(drawn[drawn >= 0], minlength=5) / (drawn >= 0).sum()
    assert moved == pytest.approx(np.log(0.2 / shares), abs=0.3)
    assert shares[0] < 0.5  # it is 0.8 of the night


def test_plain_members_weigh_what_the_options_say() -> None:
    from training.night_stages import stage_network, weigh

    options = replace(SMALL_STAGES, members=3, plain=1, plain_weight=0.4)
    net, features = stage_network(options), torch.randn(1, 40, N_FEATURES)
    with torch.no_grad():
        first, second, third = (net.only([index])(features) for index in range(3))
        weigh(net, options)
        assert torch.allclose(net(features), 0.4 * first + 0.3 * second + 0.3 * third, atol=1e-5)


def test_events_that_no_shown_channel_can_show_teach_nothing(stores: tuple[Path, ...]) -> None:
    study = open_study(stores[0]).prepared
    targets = event_targets(study)
    apnea = EVENT_TYPES.index("obstructive_apnea")
    assert targets[5:20, apnea].all()
    assert targets[:, apnea].sum() == 6 * 15
    night = EventCourse("n", "s", np.ones((len(targets), COLUMNS_OF["EOG"].stop), np.float16), targets)
    sampler = EventSampler([night], replace(SMALL_EVENTS, batch=60), seed=0)
    features, told = sampler()
    breathing = [COLUMNS_OF[group].stop - 1 for group in ("AF", "THX", "ABD")]
    blind = (features[:, :, breathing] == 0).all(dim=2)
    assert blind.any()
    assert (told[..., apnea][blind] == UNKNOWN).all()
    assert (told[..., apnea][~blind] >= 0).all()


def test_the_loss_passes_over_what_is_not_known() -> None:
    scores = torch.tensor([[[0.0, 50.0]]])
    assert event_loss(scores, torch.tensor([[[1.0, UNKNOWN]]])) == pytest.approx(np.log(2), rel=1e-5)


def test_thresholds_are_chosen_where_events_are_told_best() -> None:
    probabilities = np.full((3000, len(EVENT_TYPES)), 0.01)
    column = EVENT_TYPES.index("arousal")
    true = [Event("arousal", 100.0 * k, 8.0) for k in range(1, 29)]
    for event in true:
        probabilities[int(event.onset) : int(event.onset) + 8, column] = 0.6
        probabilities[int(event.onset) + 50 : int(event.onset) + 56, column] = 0.4  # a false one
    thresholds, figures = choose_thresholds([(probabilities, true)])
    assert 0.4 < thresholds["arousal"] <= 0.6
    assert figures["arousal"]["f1"] == 1.0
    assert "breathing" not in thresholds


def test_a_run_that_was_stopped_goes_on_to_the_same_networks(stores: tuple[Path, ...], tmp_path: Path) -> None:
    quick = NightOptions(
        stores, tmp_path / "whole", stages=replace(SMALL_STAGES, passes=3), events=replace(SMALL_EVENTS, members=2)
    )
    list(train_night(quick))
    stopped = train_night(replace(quick, out=tmp_path / "stopped"))
    for event in stopped:
        if event.part == "events" and event.progress > 0.6:  # the second member of the second network
            stopped.close()
    assert not (tmp_path / "stopped" / META).exists()
    again = list(train_night(replace(quick, out=tmp_path / "stopped")))
    assert len([event for event in again if event.loss is not None]) == SMALL_EVENTS.steps  # of one member alone
    assert (tmp_path / "whole" / META).read_text() == (tmp_path / "stopped" / META).read_text()
    for name in (STAGES_FILE, EVENTS_FILE):
        assert (tmp_path / "whole" / name).read_bytes() == (tmp_path / "stopped" / name).read_bytes()
    left = sorted(path.name for path in (tmp_path / "stopped").iterdir())
    assert left == sorted([META, STAGES_FILE, EVENTS_FILE])


def test_members_of_another_run_are_not_taken(stores: tuple[Path, ...], tmp_path: Path) -> None:
    quick = NightOptions(stores, tmp_path, stages=replace(SMALL_STAGES, passes=9), events=SMALL_EVENTS)
    first = train_night(quick)
    for event in first:
        if event.part == "stages" and event.progress > 0.6:
            first.close()
    other = replace(quick, stages=replace(quick.stages, seed=5))
    steps = [event for event in train_night(other) if event.part == "stages" and not event.figures]
    assert steps[0].progress < 0.5
