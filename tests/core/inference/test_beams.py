"""Beam search against a plain one without caches, on a network of random weights."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from core.errors import UsageError
from core.inference.beams import BeamOptions, beam_search
from core.inference.bundle import load_bundle
from core.inference.constrained import Grammar, grammars
from core.inference.decoding import greedy
from core.inference.drafts import Draft
from core.inference.engine import Engine
from core.language.caption_grammar import slot_sentences
from core.language.facts import DOMAINS
from core.language.read_back import read_back
from core.language.tokenizer import train_tokenizer

torch = pytest.importorskip("torch")
LONGEST = 10


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Engine:
    from export.publish import BundleFacts, publish
    from training.config import PRESETS
    from training.model import SleepLM

    folder: Path = tmp_path_factory.mktemp("beams")
    tokenizer = train_tokenizer(["wake. no events."] * 2, 300, 64)
    tokenizer.save(folder / "tokenizer.json")
    torch.manual_seed(0)
    model = SleepLM(replace(PRESETS["tiny"], vocab_size=tokenizer.vocab_size)).eval()
    model.decoder.vocabulary.weight.data *= 6  # so that some texts end early
    for _ in publish(model, BundleFacts("sleepcli", True, DOMAINS, folder / "tokenizer.json"), folder / "bundle"):
        pass
    return Engine(load_bundle(folder / "bundle"), "cpu", threads=1)


def scores_of(engine: Engine, tokens: np.ndarray, domain: int, ids: list[int]) -> np.ndarray:
    """Log probabilities of what follows, the whole text read anew."""
    state = engine.decoder.start(tokens[None], np.array([0]), np.array([domain]), 20)
    logits = engine.decoder.step(
        state, np.array([[engine.tokenizer.start_id, *ids]]), np.array([0]), logits=True
    ).logits
    assert logits is not None
    return torch.log_softmax(torch.from_numpy(logits[0, -1]).double(), dim=-1).numpy()


def plain(
    engine: Engine,
    tokens: np.ndarray,
    domain: int,
    beams: int,
    longest: int = LONGEST,
    language: frozenset[tuple[int, ...]] | None = None,
) -> list[int]:
    """Search without caches; `language` are the beginnings that are allowed, whole texts with their end token."""
    open_texts: list[tuple[float, list[int]]] = [(0.0, [])]
    whole: list[tuple[float, list[int]]] = []
    for length in range(1, longest):
        candidates = []
        for total, ids in open_texts:
            chances = scores_of(engine, tokens, domain, ids)
            candidates += [
                (total + float(chance), ids, token)
                for token, chance in enumerate(chances)
                if language is None or (*ids, token) in language
            ]
        candidates.sort(key=lambda candidate: -candidate[0])
        open_texts = []
        for rank, (total, ids, token) in enumerate(candidates[: 2 * beams]):
            if token in (0, engine.tokenizer.end_id) or length == longest - 1:
                whole += [(total / length, ids)] if rank < beams else []
            elif len(open_texts) < beams:
                open_texts.append((total, [*ids, token]))
            if len(whole) >= beams:
                return max(whole, key=lambda text: text[0])[1]
    return max(whole, key=lambda text: text[0])[1]


def language_of(engine: Engine, domain: str, longest: int) -> frozenset[tuple[int, ...]]:
    """Every beginning of every caption of a domain without times, written out."""
    found: set[tuple[int, ...]] = set()
    captions: list[tuple[str, frozenset[str]]] = [("", frozenset())]
    while captions:
        text, told = captions.pop()
        for one in slot_sentences(domain):
            longer = f"{text} {one.text}".strip()
            ids = engine.tokenizer.ids(longer)
            if one.key not in told and len(ids) + 2 <= longest:
                captions.append((longer, told | {one.key}))
                found.update(tuple(ids[:count]) for count in range(1, len(ids) + 1))
                found.add((*ids, engine.tokenizer.end_id))
    return frozenset(found)


@pytest.mark.parametrize("beams", [2, 3])
def test_beams_equal_a_plain_search_whatever_the_batch(engine: Engine, beams: int) -> None:
    tokens = np.random.default_rng(3).standard_normal((3, 4, 32)).astype(np.float32)
    domains = [0, 4, 2]
    options = BeamOptions(max_tokens=LONGEST)
    together = beam_search(engine, tokens, domains, beams, options)
    expected = [plain(engine, tokens[row], domain, beams) for row, domain in enumerate(domains)]
    assert [text.ids.tolist() for text in together] == expected
    alone = beam_search(engine, tokens, domains, beams, BeamOptions(max_tokens=LONGEST, rows=beams))
    assert [text.probabilities.tobytes() for text in alone] == [text.probabilities.tobytes() for text in together]


def test_one_beam_is_greedy(engine: Engine) -> None:
    """Also where the end is the second likeliest token, as it is somewhere in so many texts."""
    tokens = np.random.default_rng(4).standard_normal((160, 4, 32)).astype(np.float32)
    options, domains = BeamOptions(max_tokens=24), np.arange(160) % 5
    one, plain_texts = beam_search(engine, tokens, domains, 1, options), greedy(engine, tokens, domains, options)
    assert [text.ids.tolist() for text in one] == [text.ids.tolist() for text in plain_texts]
    assert [text.finished for text in one] == [text.finished for text in plain_texts]


def test_no_beams_are_wrong_usage(engine: Engine) -> None:
    with pytest.raises(UsageError, match="0 beams"):
        beam_search(engine, np.zeros((1, 4, 32), np.float32), [0], 0)


@pytest.mark.parametrize("beams", [1, 3])
def test_a_grammar_allows_what_the_language_holds_and_nothing_else(engine: Engine, beams: int) -> None:
    longest, domain = 40, DOMAINS.index("somatic")
    language = language_of(engine, "somatic", longest)
    tokens = np.random.default_rng(5).standard_normal((3, 4, 32)).astype(np.float32)
    held = grammars(engine.bundle, engine.tokenizer)
    found = beam_search(engine, tokens, [domain] * 3, beams, BeamOptions(max_tokens=longest, grammars=held))
    expected = [plain(engine, row, domain, beams, longest, language) for row in tokens]
    assert [text.ids.tolist() for text in found] == expected
    assert all(text.finished and (*text.ids.tolist(), engine.tokenizer.end_id) in language for text in found)


def test_every_held_caption_is_whole_and_read_back(engine: Engine) -> None:
    tokens = np.random.default_rng(6).standard_normal((8, 4, 32)).astype(np.float32)
    domains, rows = np.repeat(np.arange(5), 8), np.tile(np.arange(8), 5)
    held = grammars(engine.bundle, engine.tokenizer)
    texts = beam_search(engine, tokens, domains, 1, BeamOptions(grammars=held), rows)
    for text, domain in zip(texts, domains, strict=True):
        told = Draft(engine.tokenizer, text).text
        assert text.finished
        assert told
        assert not read_back(told, DOMAINS[domain]).unparsed


@pytest.mark.parametrize("domain", DOMAINS)
def test_any_walk_through_a_grammar_ends_in_a_caption(engine: Engine, domain: str) -> None:
    generator, grammar = np.random.default_rng(7), Grammar(engine.tokenizer, domain)
    for longest in (*range(70, 200, 13), 400):
        place, ids = grammar.start, []
        while len(ids) < longest:
            token = int(generator.choice(grammar.allowed(place, longest - len(ids))))
            if token == engine.tokenizer.end_id:
                break
            ids.append(token)
            place = grammar.after(place, token)
        assert len(ids) < longest
        told = engine.tokenizer.decode(ids)
        assert told
        assert not read_back(told, domain).unparsed, told


def test_a_model_with_a_language_of_its_own_has_no_grammar(engine: Engine) -> None:
    with pytest.raises(UsageError, match="no grammar"):
        grammars(replace(engine.bundle, slots=False), engine.tokenizer)
