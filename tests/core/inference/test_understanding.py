"""Clinicians' phrasings, written by hand: the filter and the rest that each must give."""

import pytest

from core.inference.understanding import understand

CLEAREST = "the clearest first"

PHRASINGS = (
    # figures
    ("REM sleep with desaturation below 88 % and loss of chin tone",
     "stage = R and spo2_min < 88", "loss of chin tone"),
    ("REM sleep with oxygen saturation below 90 %", "stage = R and spo2_min < 90", ""),
    ("lowest SpO2 under 80 percent while supine", "spo2_min < 80 and position = supine", ""),
    ("mean SpO2 between 85 and 90 %", "spo2_mean >= 85 and spo2_mean <= 90", ""),
    ("average heart rate above 90 beats per minute", "heart_rate_mean > 90", ""),
    ("peak heart rate over 120 in REM", "heart_rate_max > 120 and stage = R", ""),
    ("nadir saturation 75 % or less", "spo2_min <= 75", ""),
    ("desaturating to 80%", "spo2_min <= 80", ""),
    ("saturation falls below 85.5%", "spo2_min < 85.5", ""),
    ("minimum oxygen level less than ninety percent", "spo2_min < 90", ""),
    ("heart rate stays above 80 bpm", "heart_rate_min > 80", ""),
    ("heart rate not below 90", "heart_rate_mean >= 90", ""),
    ("heart rate between 60 and 80 bpm", "heart_rate_mean >= 60 and heart_rate_mean <= 80", ""),
    ("heart rate falls below 45 or rises above 120", "heart_rate_min < 45 or heart_rate_max > 120", ""),
    ("SpO2 drops below 90 % and heart rate rises above 100", "spo2_min < 90 and heart_rate_max > 100", ""),
    ("bradycardia below 40 bpm", "heart_rate_mean < 40", ""),
    ("respiratory rate greater than 20 per min", "breath_rate > 20", ""),
    ("breathing rate under 10 breaths per minute", "breath_rate < 10", ""),
    ("thoracic rate below 8/min", "thoracic_rate < 8", ""),
    ("rmssd ≥ 80", "rmssd >= 80", ""),
    ("rmssd above 0.1 s", "rmssd > 100", ""),
    ("N3 with delta power of at least 60 %", "stage = N3 and delta >= 60", ""),
    ("alpha > 30% while awake", "alpha > 30 and stage = W", ""),
    ("c4 theta at least 25%", "c4_theta >= 25", ""),
    ("slow wave amplitude above 0.1 mV", "slow_wave_amplitude > 100", ""),
    ("slow wave amplitude over 150 µV", "slow_wave_amplitude > 150", ""),
    ("effort phase above 90 degrees", "effort_phase > 90", ""),
    ("chin tone below 0.5 in REM", "chin_tone < 0.5 and stage = R", ""),
    ("stage probability below 0.5", "stage_probability < 0.5", ""),
    # counts
    ("more than 4 spindles", "spindle_count > 4", ""),
    ("exactly two spindles", "spindle_count = 2", ""),
    ("between three and six spindles", "spindle_count >= 3 and spindle_count <= 6", ""),
    ("no spindles in stage 2", "spindle_count = 0 and stage = N2", ""),
    ("deep sleep with no spindles and delta above 90", "stage = N3 and spindle_count = 0 and delta > 90", ""),
    ("at least three arousals in N2", "arousal_count >= 3 and stage = N2", ""),
    ("two or more apneas", "apnea_count >= 2", ""),
    ("several limb movements", "limb_movement_count >= 2", ""),
    ("a single arousal", "arousal_count = 1", ""),
    # durations
    ("hypopneas longer than 30 s", "hypopnea_longest > 30", ""),
    ("apneas lasting more than a minute", "apnea_longest > 60", ""),
    ("obstructive apneas lasting at least 20 seconds", "obstructive_apnea_longest >= 20", ""),
    ("hypopnea shorter than 12 seconds", "with hypopnea and hypopnea_longest < 12", ""),
    ("hypopneas between 20 and 40 seconds", "hypopnea_longest >= 20 and hypopnea_longest <= 40", ""),
    ("more than 20 s of obstructive apnea", "obstructive_apnea_seconds > 20", ""),
    # events and negations
    ("deep sleep without events", "stage = N3 and no event", ""),
    ("obstructive apnea with a fall in oxygen, supine",
     "with obstructive_apnea and with desaturation and position = supine", ""),
    ("no apneas or hypopneas", "no apnea and no hypopnea", ""),
    ("without apneas, hypopneas or arousals", "no apnea and no hypopnea and no arousal", ""),
    ("REM without obstructive or central apneas", "stage = R and no obstructive_apnea and no central_apnea", ""),
    ("arousal or limb movement but no apnea", "(with arousal or with limb_movement) and no apnea", ""),
    ("hypopnea and desaturation", "with hypopnea and with desaturation", ""),
    ("free of respiratory events", "no respiratory_event", ""),
    ("leg movements without arousals in light sleep", "with limb_movement and no arousal and stage = N1", ""),
    ("desaturation to below 85 during REM without arousal", "spo2_min < 85 and stage = R and no arousal", ""),
    # stages and positions
    ("stable light sleep with spindles", "stage = N2 and spindle_count >= 1", ""),
    ("light sleep", "stage = N1", ""),
    ("N2 or N3", "stage = N2 or stage = N3", ""),
    ("not N2 or N3", "stage != N2 and stage != N3", ""),
    ("not in N2, on the left side", "stage != N2 and position = left lateral", ""),
    ("NREM sleep on the right side",
     "(stage = N1 or stage = N2 or stage = N3) and position = right lateral", ""),
    ("non-supine REM", "position != supine and stage = R", ""),
    ("neither supine nor prone", "position != supine and position != prone", ""),
    ("lying on the back, slow breathing", "position = supine", "slow breathing"),
    ("lateral position", "position = left lateral or position = right lateral", ""),
    ("lying on the left side with a heart rate below 50", "position = left lateral and heart_rate_mean < 50", ""),
    # clock times and parts of the night
    ("between 2 and 4 am", "clock >= 02:00 and clock < 04:00", ""),
    ("REM between 11 pm and 2 am with tachycardia", "stage = R and (clock >= 23:00 or clock < 02:00)", "tachycardia"),
    ("between 10 and 2 am", "clock >= 22:00 or clock < 02:00", ""),
    ("REM from 04:00 to 06:30", "stage = R and clock >= 04:00 and clock < 06:30", ""),
    ("between midnight and 2", "clock < 02:00", ""),
    ("wake after 5 am", "stage = W and clock >= 05:00 and clock < 12:00", ""),
    ("N3 before 1 am", "stage = N3 and (clock >= 12:00 or clock < 01:00)", ""),
    ("around 3:15 am", "clock >= 02:45 and clock < 03:45", ""),
    ("not between 1 and 3 am", "clock < 01:00 or clock >= 03:00", ""),
    ("in the first two hours", "onset < 7200", ""),
    ("within the first half hour", "onset < 1800", ""),
    ("periodic breathing in the last hour", "until_end <= 3600", "periodic breathing"),
    ("SpO2 of 88 % or lower in the second half of the night", "spo2_min <= 88 and night_fraction >= 0.5", ""),
    ("last third of the night", "night_fraction >= 0.6667", ""),
    ("three hours into the recording", "onset >= 10800", ""),
    # nights and channels
    ("patients with an AHI over 15 and sleep efficiency below 80 %", "ahi > 15 and sleep_efficiency < 80", ""),
    ("total sleep time below 5 h", "total_sleep_time < 300", ""),
    ("REM latency over two hours", "rem_latency > 120", ""),
    ("flat ECG", "ecg_state = flat", ""),
    ("artefacts on C3", "eeg_c3_state = artefact", ""),
    ("nasal pressure missing", "af_state = missing", ""),
    # the statistic that the field means, and what is said to happen
    ("heart rate above 80", "heart_rate_mean > 80", ""),
    ("heart rate spikes above 100", "heart_rate_max > 100", ""),
    ("saturation never below 93 %", "spo2_min >= 93", ""),
    ("SpO2 stays above 94 %", "spo2_min > 94", ""),
    ("saturation above 96 %", "spo2_min > 96", ""),
    ("desats into the 70s", "spo2_min >= 70 and spo2_min < 80", ""),
    ("sats less than or equal to 89", "spo2_min <= 89", ""),
    ("hypoxia, less than 88 per cent", "spo2_min < 88", ""),
    # rates by their unit, abbreviations, slips
    ("fewer than 14 breaths per minute", "breath_rate < 14", ""),
    ("breathing slower than 13 per minute", "breath_rate < 13", ""),
    ("heart beating faster than 80 times a minute", "heart_rate_mean > 80", ""),
    ("RR below 12", "breath_rate < 12", ""),
    ("OA in REM", "with obstructive_apnea and stage = R", ""),
    ("A/H events with SpO2 < 88", "(with apnea or with hypopnea) and spo2_min < 88", ""),
    ("oxigen saturation belwo 90 %", "spo2_min < 90", ""),
    ("obstructive event", "with obstructive_apnea or with hypopnea", ""),
    ("no obstructive events", "no obstructive_apnea and no hypopnea", ""),
    ("rapid eye movement sleep", "stage = R", ""),
    ("non-REM stage 2", "stage = N2", ""),
    # how far a negation reaches
    ("not in deep sleep", "stage != N3", ""),
    ("apnea that does not end in an arousal", "with apnea and no arousal", ""),
    ("arousals not caused by breathing", "with arousal and no respiratory_event", ""),
    ("event-free N3", "no event and stage = N3", ""),
    ("asleep, but not in slow wave sleep",
     "(stage = N1 or stage = N2 or stage = N3 or stage = R) and stage != N3", ""),
    ("NREM sleep, N1 or N2", "stage = N1 or stage = N2", ""),
    # sleep onset
    ("WASO after 3 am", "stage = W and since_sleep >= 0 and clock >= 03:00 and clock < 12:00", ""),
    ("awake before sleep onset", "stage = W and since_sleep < 0", ""),
    ("wake after sleep onset over 60 min", "wake_after_sleep_onset > 60", ""),
    ("apneas longer than 20 s but shorter than 40 s", "apnea_longest > 20 and apnea_longest < 40", ""),
    # a figure that nobody understands is said
    ("desaturation > 4 %", "with desaturation", "> 4 %"),
    # what is no condition stays
    ("the patient snores", "", "snores"),
    ("snoring with paradoxical breathing", "", "snoring with paradoxical breathing"),
    ("rapid eye movements with atonia", "", "rapid eye movements with atonia"),
    ("heart rate variability", "", "heart rate variability"),
    ("SpO2 below 88 bpm", "", "spo2 below 88 bpm"),
    ("high arousal index", "", "high arousal index"),
)  # fmt: skip


def test_there_are_enough_phrasings() -> None:
    assert len({text for text, *_ in PHRASINGS}) >= 60


@pytest.mark.parametrize(("text", "understood", "rest"), PHRASINGS, ids=[text for text, *_ in PHRASINGS])
def test_a_sentence_gives_its_filter_and_leaves_the_rest(text: str, understood: str, rest: str) -> None:
    ranked = f'ranked by "{rest}"' if rest else CLEAREST
    assert str(understand(text)) == ", ".join(part for part in (understood, ranked) if part)


@pytest.mark.parametrize(
    ("text", "events"),
    [
        ("an obstructive apnea with an arousal", ("obstructive_apnea", "arousal")),
        ("any apnoea", ("obstructive_apnea", "central_apnea", "mixed_apnea")),
        ("desaturation below 88", ("desaturation",)),
        ("leg movements", ("limb_movement",)),
        ("no hypopnea", ()),
        ("quiet sleep", ()),
    ],
)
def test_named_events_are_pointed_at(text: str, events: tuple[str, ...]) -> None:
    assert understand(text).events == events


@pytest.mark.parametrize("text", ["", "   ", "?", "%", "88", "and or not", "'; DROP TABLE epochs; --", "a" * 20_000])
def test_nothing_and_nonsense_set_no_condition(text: str) -> None:
    assert understand(text).clauses == ()


def test_what_is_asked_becomes_sql_that_quotes_every_text() -> None:
    assert understand("N2 or N3 before 1 am, lying on the left").sql == (
        "(stage = 'N2' OR stage = 'N3') AND (clock >= '12:00:00' OR clock < '01:00:00') AND position = 'left lateral'"
    )
    assert understand("not REM").sql == "(stage != 'R' AND stage != '?')"
    assert understand("without arousals, SpO2 below 88").sql == "has_arousal = FALSE AND spo2_min < 88.0"


@pytest.mark.parametrize("piece", ["is ", "that lasting ", "not any ", "heart rate ", "apnea, ", "spo2 falls "])
def test_what_repeats_itself_ends(piece: str) -> None:  # an ambiguous pattern would not within the age of the universe
    assert understand("SpO2 below 88 " + piece * (900 // len(piece))).clauses
    assert understand("SpO2 below 88 " + piece * 5000).clauses == ()
