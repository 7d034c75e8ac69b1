"""Concepts of a lab's own: read from a file, and found by words and by examples."""

from pathlib import Path

import numpy as np
import pytest

from core.errors import UsageError
from core.inference.concepts import Concept, concept_vector, named, ranked_by, read_concepts
from core.inference.engine import Engine
from core.inference.search import Wishes, ask, hits_of, index_study
from core.inference.store import MemoryStore
from tests.core.inference.conftest import MakeStudy


@pytest.fixture(scope="module")
def store(make_study: MakeStudy, engine: Engine) -> MemoryStore:
    return MemoryStore([index_study(make_study(n=20, seed=seed), engine) for seed in (1, 2)])


def write(folder: Path, text: str) -> Path:
    path = folder / "concepts.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_a_file_gives_its_concepts(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        '[[concept]]\nname = "sawtooth waves"\nphrasings = ["notched theta in REM"]\nexamples = ["night1:3"]\n'
        '[[concept]]\nname = "REM without atonia"\n',
    )
    concepts = read_concepts(path)
    assert concepts[0] == Concept("sawtooth waves", ("notched theta in REM",), ("night1:3",))
    found = named("show me Sawtooth Waves before 3 am", concepts)
    assert found is concepts[0]
    assert named("apnea", concepts) is None


@pytest.mark.parametrize(
    "text",
    ["", "x = 1", "[[concept]]\nphrasing = ['a']", "[[concept]]\nname = 3", "[[concept", "[[concept]]\nname = ''"],
)
def test_a_wrong_file_is_one_sentence(tmp_path: Path, text: str) -> None:
    with pytest.raises(UsageError):
        read_concepts(write(tmp_path, text))
    with pytest.raises(UsageError, match="There is no concepts file"):
        read_concepts(tmp_path / "absent.toml")


def test_examples_find_themselves_and_conditions_still_hold(store: MemoryStore, engine: Engine) -> None:
    concept = Concept("odd epochs", ("something odd",), ("night1:3", "night1:4"))
    asked = ranked_by(ask("odd epochs", store, engine, Wishes(5)), concept, store, engine)
    cosines = {hit.epoch: hit.score for hit in hits_of(asked, store) if hit.study == "night1"}
    assert {3, 4} & set(cosines)
    narrowed = ranked_by(ask("odd epochs", store, engine, Wishes(40, where="epoch >= 10")), concept, store, engine)
    hits = hits_of(narrowed, store)
    assert hits
    assert all(hit.epoch >= 10 for hit in hits)


def test_without_examples_a_concept_is_its_phrasings(store: MemoryStore, engine: Engine) -> None:
    vector = concept_vector(Concept("deep sleep"), store, engine)
    assert vector == pytest.approx(engine.embed_texts(["deep sleep"])[0], abs=1e-6)
    assert np.linalg.norm(vector) == pytest.approx(1.0)


def test_an_example_that_is_not_there_is_one_sentence(store: MemoryStore, engine: Engine) -> None:
    for example in ("night1:999", "night9:0", "night1"):
        with pytest.raises(UsageError, match="no epoch"):
            concept_vector(Concept("x", (), (example,)), store, engine)
