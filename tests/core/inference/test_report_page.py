"""The page of a night: what it carries, what it hides, and that it is the same every time."""

import base64
import hashlib
import json
import re
import zlib
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pytest

from core.inference.report.contents import Contents, contents_of
from core.inference.report.evidence import evidence, paragraphs
from core.inference.report.index import IndexRow, index_page
from core.inference.report.page import page
from core.inference.report.signals import pack_signals
from core.inference.report.tables import UNKNOWN, key_figures, statistics_groups
from core.inference.report.tracks import night_figure
from core.inference.staging import unstaged
from core.language.describe_night import describe_night
from core.language.night import night_statistics
from core.psg.channels import MODEL_CHANNELS
from tests.core.inference.report_night import (
    EVENTS,
    HOSTILE,
    PLAN,
    planted_contents,
    planted_night,
    planted_scoring,
    planted_study,
    staged,
)


@pytest.fixture(scope="module")
def contents() -> Contents:
    return planted_contents(HOSTILE)


@pytest.fixture(scope="module")
def html(contents: Contents) -> str:
    return page(contents)


class Reader(HTMLParser):
    """Collects tags, attributes and the texts of scripts and styles."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.inside: list[str] = []
        self.texts: dict[str, str] = {}
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        self.inside.append(dict(attrs).get("id") or tag)

    def handle_data(self, data):
        if self.inside:
            key = self.inside[-1]
            self.texts[key] = self.texts.get(key, "") + data


def carried(html: str) -> dict:
    data = Reader(html).texts["data-night"]
    return json.loads(zlib.decompress(base64.b64decode(data)))


def test_the_policy_names_the_very_style_and_script_and_nothing_is_fetched(html):
    reader = Reader(html)
    policy = next(a["content"] for t, a in reader.tags if a.get("http-equiv") == "Content-Security-Policy")
    style = re.search(r"<style>(.*?)</style>", html, re.DOTALL)[1]
    code = re.findall(r"<script>(.*?)</script>", html, re.DOTALL)
    assert len(code) == 1
    for text in (style, code[0]):
        digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        assert f"'sha256-{digest}'" in policy
    assert policy.startswith("default-src 'none'")
    assert "unsafe" not in policy
    for _tag, attributes in reader.tags:
        assert "style" not in attributes  # the policy would not allow it
        for name in ("src", "href", "action", "xlink:href"):
            target = attributes.get(name)
            assert target is None or target.startswith(("#", "data:image/png;base64,"))
        assert not [name for name in attributes if name.startswith("on")]


def test_labels_and_names_of_files_are_text_and_never_markup(html):
    reader = Reader(html)
    assert HOSTILE not in html
    assert not [a for t, a in reader.tags if t == "script" and not a.get("id") and "src" in a]
    assert sum(t == "script" and a.get("type") is None for t, a in reader.tags) == 1
    assert "b" not in [t for t, _ in reader.tags]
    assert reader.texts["h1"] == HOSTILE
    assert carried(html)["study"] == HOSTILE


def test_names_that_no_file_can_hold_are_replaced():
    text = page(planted_contents("a\x00b\udcffc\x1b"))
    text.encode("utf-8")
    assert "a\ufffdb\ufffdc\ufffd" in text


def test_the_page_carries_stages_events_and_captions_as_they_were_read(contents, html):
    night = carried(html)
    assert night["stages"] == PLAN
    assert [night["types"][row[0]] for row in night["events"]] == [event.type for event in EVENTS]
    assert night["probabilities"][5 * 21 : 5 * 22][3] == 300
    assert night["captions"][24][night["domains"].index("cardiac")] == contents.captions[24].captions["cardiac"]
    assert night["start"] == 22.5 * 3600
    assert "2001" not in html.split("</main>")[0]  # the date of a recording is nobody's business


def test_every_sample_comes_back_within_half_a_step(contents):
    study = contents.study
    packed = pack_signals(study)
    rows = dict(zip([row["channel"] for row in packed.channels], range(len(packed.channels)), strict=True))
    row = packed.channels[rows["EEG_C4"]]
    code = np.frombuffer(zlib.decompress(packed.data[rows["EEG_C4"]]), np.uint8)
    steps = np.cumsum(code, dtype=np.uint8).view(np.int8)
    truth = study.signals[:, MODEL_CHANNELS.index("EEG_C4")].reshape(-1)
    assert len(steps) == study.n_epochs * 30 * row["rate"]
    assert np.abs(steps * row["step"] - truth).max() <= row["step"] / 2 + 1e-5
    oxygen = packed.channels[rows["SPO2"]]
    code = np.frombuffer(zlib.decompress(packed.data[rows["SPO2"]]), np.uint8)
    values = np.cumsum(code, dtype=np.uint8).view(np.int8) * oxygen["step"] + oxygen["offset"]
    assert set(values[732:738]) == {87.0}
    assert set(values[:690]) == {96.0}


def test_signals_grow_coarser_until_they_fit(contents):
    wide, narrow = (pack_signals(contents.study, budget) for budget in (10_000_000, 60_000))
    sizes = [sum(map(len, packed.data)) for packed in (wide, narrow)]
    assert sizes[1] < 0.75 * sizes[0]
    steps = [{row["channel"]: row["step"] for row in packed.channels} for packed in (wide, narrow)]
    assert steps[1]["EEG_C3"] > steps[0]["EEG_C3"]
    assert steps[1]["SPO2"] == steps[0]["SPO2"]


def test_a_page_has_the_same_bytes_every_time(html):
    assert page(planted_contents(HOSTILE)) == html


def test_evidence_is_what_the_sentence_speaks_of(contents):
    def onsets(sentence):
        return [moment.onset for moment in evidence(sentence, contents)]

    assert onsets("The apnea-hypopnea index is 9.0/h, in the mild range.") == [400.0, 700.0]
    assert onsets("The model found 1 obstructive apnea.") == [700.0]
    assert onsets("The arousal index is 3.0/h.") == [905.0]
    assert onsets("There were no sleep cycles.") == [30.0 * PLAN.index("R")]
    assert 24 * 30.0 in onsets("Oxygen saturation averaged 95.5% and fell to 87% at the lowest.")
    assert onsets("It was below 90% for 0.5 min (2.5%).") == [24 * 30.0]
    assert len(onsets("It was never below 90%.")) > 0
    assert onsets("The sleep consists of 40% Deep Sleep (N3).") == [30.0 * PLAN.index("3")]
    assert onsets("Sleep began after 3 min and REM sleep followed 12 min after sleep onset.") == [180.0, 900.0]


def test_every_sentence_that_can_be_told_has_evidence(contents):
    statistics = night_statistics(planted_scoring(PLAN), contents.night.measurements, 1200.0, contents.night.found_by)
    for seed in range(6):
        text = describe_night(statistics, seed)
        told = paragraphs(replace(contents, summary={**contents.summary, "text": text}))
        assert " ".join(sentence.text for paragraph in told for sentence in paragraph) == text.replace("\n\n", " ")
        assert [s.text for p in told for s in p if s.moments[0].label == "the whole recording"] == []
        assert all(sentence.text.endswith(".") for paragraph in told for sentence in paragraph)


def test_a_scoring_is_compared_epoch_by_epoch(engine):
    study = planted_study()
    human = PLAN[:10] + "22" + PLAN[12:38] + "??"  # as the model has it, and two epochs left open
    human = human[:30] + "222" + human[33:]  # three epochs of REM scored as N2
    study = replace(study, scoring=planted_scoring(human))
    night = planted_night(study, replace(staged(human), probabilities=None, source="scoring"))
    night = replace(night, embeddings=np.ones((40, engine.bundle.embed_dim), np.float32))
    compared = contents_of(study, night, engine)
    given = compared.model.stages
    expected = [a != b for a, b in zip(night.staging.stages, given, strict=True)]
    expected[38:] = [False, False]
    assert compared.agreement.differs.tolist() == expected
    assert compared.agreement.compared == 38
    dark = night_figure(compared).tracks[0].marks[0]
    assert (dark.kind, dark.boxes[:, :2].tolist()) == ("lights", [[0.0, 60.0], [1140.0, 1200.0]])
    text = page(compared)
    assert "model" in [attributes.get("data-track") for _, attributes in Reader(text).tags]
    assert "Cohen&#x27;s κ" in text
    assert "00:" not in Reader(text).texts["h1"]
    assert "22:31:00 (60 s after the start)" in text


def test_a_night_without_stages_has_a_page_too():
    study = planted_study()
    night = planted_night(study, unstaged(40))
    text = page(contents_of(study, night, None))
    drawn = [attributes.get("data-track") for _, attributes in Reader(text).tags]
    assert "stages" not in drawn
    assert "oxygen" in drawn
    assert carried(text)["probabilities"] is None


def test_a_study_of_one_epoch_and_one_channel():
    study = planted_study(n_epochs=1)
    states = study.states.copy()
    states[:, [k for k in range(11) if k != 10]] = 1  # the saturation alone is there
    night = planted_night(replace(study, states=states), unstaged(1))
    text = page(contents_of(replace(study, states=states), replace(night, events=()), None))
    assert "Not recorded or not usable: central EEG" in text
    assert [row["channel"] for row in carried(text)["signals"]] == ["SPO2"]


def test_a_home_test_shows_what_it_has_and_the_index_no_empty_column():
    known = {"recording_time": 30.0, "time_in_bed": 30.0, "rei": 16.0, "odi3": 15.0, "spo2_min": 90.0}
    statistics = {**dict.fromkeys(planted_contents().summary["statistics"]), **known}
    statistics |= {"heart_rate_mean": 60.0, "lights_known": False, "scored_minutes": 0.0}
    statistics |= {"stage_minutes": {}, "stage_shares": {}, "ahi_by_position": {}, "event_counts": {"hypopnea": 8}}
    statistics |= {"position_shares": {}}
    told = [row for _, rows in statistics_groups(statistics) for row in rows]
    assert ("Respiratory event index (of recording)", "16.0 /h") in told
    assert UNKNOWN not in [value for _, value in [*told, *key_figures(statistics)]]
    html = index_page([IndexRow("home", "home.report.html", {"rei": 16.0, "ahi": None})])
    assert "REI, /h" in html
    assert "AHI" not in html
