"""Greedy decoding of real graphs against torch without a cache, token for token."""

from dataclasses import replace

import numpy as np
import pytest

from core.inference.bundle import load_bundle
from core.inference.decoding import DecodeOptions, greedy
from core.inference.engine import Engine
from core.language.facts import DOMAINS
from core.language.tokenizer import train_tokenizer
from tests.core.inference.fake_bundle import CHANNEL_TEXTS, STAGE_TEXTS

torch = pytest.importorskip("torch")

pytestmark = pytest.mark.slow

EPOCHS = 7


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory):
    from export.publish import BundleFacts, publish
    from training.config import PRESETS
    from training.model import SleepLM

    folder = tmp_path_factory.mktemp("torch")
    tokenizer = train_tokenizer([*STAGE_TEXTS, *CHANNEL_TEXTS.values()] * 2, 600, 64)
    tokenizer.save(folder / "tokenizer.json")
    torch.manual_seed(0)
    model = SleepLM(replace(PRESETS["tiny"], vocab_size=tokenizer.vocab_size)).eval()
    facts = BundleFacts("sleepcli", True, DOMAINS, folder / "tokenizer.json")
    for _ in publish(model, facts, folder / "bundle"):
        pass
    return model, load_bundle(folder / "bundle")


@pytest.fixture(scope="module")
def epochs(pair) -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(0)
    channels = len(pair[1].channels)
    present = (generator.random((EPOCHS, channels)) < 0.8).astype(np.float32)
    return generator.standard_normal((EPOCHS, channels, 1920)).astype(np.float32), present


@torch.no_grad()
def test_cached_and_batched_equals_uncached_and_alone(pair, epochs: tuple[np.ndarray, np.ndarray]) -> None:
    model, bundle = pair
    engine = Engine(bundle, "cpu", batch=3, threads=1)
    _, tokens = engine.encode(*epochs)
    rows, domains = np.arange(EPOCHS).repeat(5), np.tile(np.arange(5), EPOCHS)
    for text, row, domain in zip(greedy(engine, tokens, domains, epochs=rows), rows, domains, strict=True):
        ids = torch.tensor([[engine.tokenizer.start_id]])
        while ids.shape[1] < bundle.context_length - 1:
            logits = model.decode(model.encode_text(ids)[1], torch.tensor(tokens[[row]]), torch.tensor([int(domain)]))
            token = int(logits[0, -1].argmax())
            if token in (0, engine.tokenizer.end_id):
                break
            ids = torch.cat((ids, torch.tensor([[token]])), dim=1)
        assert text.ids.tolist() == ids[0, 1:].tolist()


def test_batch_rows_and_threads_change_no_byte(pair, epochs: tuple[np.ndarray, np.ndarray]) -> None:
    results = set()
    for batch, rows, threads in ((1, 1, 1), (2, 3, 2), (64, 64, 1)):
        engine = Engine(pair[1], "cpu", batch, threads)
        embeddings, tokens = engine.encode(*epochs)
        texts = greedy(engine, tokens, [4] * EPOCHS, DecodeOptions(rows=rows))
        written = b"".join(text.ids.tobytes() + text.probabilities.tobytes() for text in texts)
        results.add(embeddings.tobytes() + tokens.tobytes() + written)
    assert len(results) == 1


def test_captions_of_one_beginning_share_its_text(pair, epochs: tuple[np.ndarray, np.ndarray]) -> None:
    tokens = Engine(pair[1], "cpu", threads=1).encode(*epochs)[1]
    rows, domains = np.arange(EPOCHS).repeat(5), np.tile(np.arange(5), EPOCHS)
    written, most = [], []
    for shares in (True, False):
        engine = Engine(pair[1], "cpu", threads=1)
        engine.fixed_shapes = not shares  # as on CUDA, where each caption has a text of its own
        widest: list[int] = []
        step = engine.decoder.step

        def counted(state, *args, step=step, widest=widest, **kwargs):
            found = step(state, *args, **kwargs)
            widest.append(state.texts)
            return found

        engine.decoder.step = counted  # type: ignore[method-assign]
        texts = greedy(engine, tokens, domains, DecodeOptions(rows=40), rows)
        written.append([text.ids.tobytes() + text.probabilities.tobytes() for text in texts])
        most.append(widest[0])
    assert written[0] == written[1]
    assert most[0] == 1 < most[1]
