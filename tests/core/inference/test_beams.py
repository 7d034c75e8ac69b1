"""Beam search against a plain one without caches, on a network of random weights."""

from pathlib import Path

import numpy as np
import pytest

from core.errors import UsageError
from core.inference.beams import beam_search
from core.inference.bundle import load_bundle
from core.inference.decoding import DecodeOptions, greedy
from core.inference.engine import Engine
from core.language.facts import DOMAINS
from core.language.tokenizer import train_tokenizer

torch = pytest.importorskip("torch")
LONGEST = 10


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Engine:
    from dataclasses import replace

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
    state = engine.start(tokens[None], np.array([0]), np.array([domain]), 20)
    logits = engine.step(state, np.array([[engine.tokenizer.start_id, *ids]]), np.array([0]), logits=True).logits
    assert logits is not None
    return torch.log_softmax(torch.from_numpy(logits[0, -1]).double(), dim=-1).numpy()


def plain(engine: Engine, tokens: np.ndarray, domain: int, beams: int) -> list[int]:
    open_texts: list[tuple[float, list[int]]] = [(0.0, [])]
    whole: list[tuple[float, list[int]]] = []
    for length in range(1, LONGEST):
        candidates = []
        for total, ids in open_texts:
            chances = scores_of(engine, tokens, domain, ids)
            candidates += [(total + float(chance), ids, token) for token, chance in enumerate(chances)]
        candidates.sort(key=lambda candidate: -candidate[0])
        open_texts = []
        for total, ids, token in candidates[: 2 * beams]:
            if token in (0, engine.tokenizer.end_id) or length == LONGEST - 1:
                whole.append((total / length, ids))
            elif len(open_texts) < beams:
                open_texts.append((total, [*ids, token]))
            if len(whole) >= beams:
                return max(whole, key=lambda text: text[0])[1]
    return max(whole, key=lambda text: text[0])[1]


@pytest.mark.parametrize("beams", [2, 3])
def test_beams_equal_a_plain_search_whatever_the_batch(engine: Engine, beams: int) -> None:
    tokens = np.random.default_rng(3).standard_normal((3, 4, 32)).astype(np.float32)
    domains = [0, 4, 2]
    options = DecodeOptions(max_tokens=LONGEST)
    together = beam_search(engine, tokens, domains, beams, options)
    expected = [plain(engine, tokens[row], domain, beams) for row, domain in enumerate(domains)]
    assert [text.ids.tolist() for text in together] == expected
    alone = beam_search(engine, tokens, domains, beams, DecodeOptions(max_tokens=LONGEST, rows=beams))
    assert [text.probabilities.tobytes() for text in alone] == [text.probabilities.tobytes() for text in together]


def test_one_beam_is_greedy(engine: Engine) -> None:
    tokens = np.random.default_rng(4).standard_normal((4, 4, 32)).astype(np.float32)
    options = DecodeOptions(max_tokens=LONGEST)
    one, plain_texts = beam_search(engine, tokens, [0, 1, 2, 3], 1, options), greedy(engine, tokens, range(4), options)
    assert [text.ids.tolist() for text in one] == [text.ids.tolist() for text in plain_texts]
    assert [text.finished for text in one] == [text.finished for text in plain_texts]


def test_no_beams_are_wrong_usage(engine: Engine) -> None:
    with pytest.raises(UsageError, match="0 beams"):
        beam_search(engine, np.zeros((1, 4, 32), np.float32), [0], 0)
