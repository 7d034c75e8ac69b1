import numpy as np

from core.inference.events import NEEDED_CHANNELS, DraftEvent, merge_drafts

EVERYWHERE = {kind: np.ones(10, bool) for kind in NEEDED_CHANNELS}


def merged(*drafts: DraftEvent) -> list[tuple[str, float, float, float | None]]:
    return [(e.type, e.onset, e.duration, e.confidence) for e in merge_drafts(drafts, EVERYWHERE)]


def test_an_event_that_goes_on_after_the_border_is_one() -> None:
    parts = DraftEvent(2, "hypopnea", 18.0, 12.0, 0.9), DraftEvent(3, "hypopnea", 0.0, 6.0, 0.6)
    assert merged(*parts) == [("hypopnea", 78.0, 18.0, 0.8)]


def test_an_event_may_fill_whole_epochs() -> None:
    parts = [DraftEvent(k, "central_apnea", 0.0, 30.0, 0.5) for k in (1, 2, 3)]
    assert merged(*parts) == [("central_apnea", 30.0, 90.0, 0.5)]


def test_events_apart_stay_apart() -> None:
    parts = DraftEvent(2, "hypopnea", 5.0, 20.0, 0.9), DraftEvent(3, "hypopnea", 2.0, 15.0, 0.7)
    assert len(merged(*parts)) == 2


def test_events_that_meet_inside_an_epoch_are_two() -> None:
    parts = DraftEvent(2, "arousal", 2.0, 5.0, 0.9), DraftEvent(2, "arousal", 7.0, 5.0, 0.7)
    assert len(merged(*parts)) == 2


def test_other_types_are_not_joined() -> None:
    parts = DraftEvent(2, "hypopnea", 15.0, 15.0, 0.9), DraftEvent(3, "obstructive_apnea", 0.0, 15.0, 0.7)
    assert [kind for kind, *_ in merged(*parts)] == ["hypopnea", "obstructive_apnea"]


def test_one_told_twice_is_one() -> None:
    event = DraftEvent(2, "arousal", 2.0, 5.0, 0.9)
    assert merged(event, event) == [("arousal", 62.0, 5.0, 0.9)]


def test_what_is_too_short_by_the_manual_is_left_out() -> None:
    assert merged(DraftEvent(0, "hypopnea", 1.0, 6.0, 0.9), DraftEvent(0, "arousal", 1.0, 2.0, 0.9)) == []


def test_an_event_without_its_channels_is_left_out() -> None:
    blind = EVERYWHERE | {"arousal": np.zeros(10, bool)}
    assert merge_drafts([DraftEvent(0, "arousal", 1.0, 9.0, 0.9)], blind) == ()


def test_a_desaturation_is_never_taken_from_text() -> None:
    assert merged(DraftEvent(0, "desaturation", 1.0, 20.0, 0.9)) == []


def test_an_event_does_not_leave_its_epoch_by_itself() -> None:
    assert merged(DraftEvent(0, "hypopnea", 15.0, 60.0, 0.9)) == [("hypopnea", 15.0, 15.0, 0.9)]
