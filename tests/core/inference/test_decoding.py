from pathlib import Path

import numpy as np
import pytest

from core.errors import UsageError
from core.inference.bundle import load_bundle
from core.inference.decoding import SCOUTS, DecodeOptions, greedy, parts, scouted
from core.inference.engine import Engine
from core.language.facts import DOMAINS
from tests.core.inference.fake_bundle import QUERIES, VARIANTS, WIDTH, caption_text, write_fake_bundle


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Engine:
    folder: Path = write_fake_bundle(tmp_path_factory.mktemp("models") / "fake")
    return Engine(load_bundle(folder), device="cpu", threads=1)


def tokens_of(variants: list[int]) -> np.ndarray:
    tokens = np.zeros((len(variants), QUERIES, WIDTH), np.float32)
    tokens[np.arange(len(variants)), 0, variants] = 1.0
    return tokens


def test_each_row_is_written_to_its_own_end(engine: Engine) -> None:
    rows = [(variant, domain) for variant in range(VARIANTS) for domain in range(len(DOMAINS))]
    texts = greedy(engine, tokens_of([variant for variant, _ in rows]), [domain for _, domain in rows])
    expected = [engine.tokenizer.ids(caption_text(variant, DOMAINS[domain])) for variant, domain in rows]
    assert [text.ids.tolist() for text in texts] == expected
    assert all(text.finished for text in texts)
    assert all(len(text.probabilities) == len(text.ids) for text in texts)


@pytest.mark.parametrize("rows", [1, 2, 3, 7, 100])
def test_a_text_is_the_same_whatever_batch_it_is_in(engine: Engine, rows: int) -> None:
    variants = [0, 4, 1, 1, 3, 2, 0, 4]
    domains = [4, 4, 0, 1, 2, 3, 3, 4]
    alone = [greedy(engine, tokens_of([v]), [d])[0] for v, d in zip(variants, domains, strict=True)]
    together = greedy(engine, tokens_of(variants), domains, DecodeOptions(rows=rows))
    for one, other in zip(alone, together, strict=True):
        assert one.ids.tobytes() == other.ids.tobytes()
        assert one.probabilities.tobytes() == other.probabilities.tobytes()


def test_filling_a_batch_up_changes_no_text(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    variants, domains = [0, 4, 1, 1, 3], [4, 4, 0, 1, 2]
    plain = greedy(engine, tokens_of(variants), domains)
    monkeypatch.setattr(engine, "fixed_shapes", True)  # as on CUDA
    filled = greedy(engine, tokens_of(variants), domains, DecodeOptions(rows=4))
    assert [text.ids.tolist() for text in filled] == [text.ids.tolist() for text in plain]


def test_probability_is_that_of_the_softmax(engine: Engine) -> None:
    text = greedy(engine, tokens_of([2]), [4])[0]
    scores = np.zeros(engine.tokenizer.vocab_size)
    scores[engine.tokenizer.ids(".")[0]] = 1.0
    scores[text.ids[0]] = 8.0
    np.testing.assert_allclose(text.probabilities[0], np.exp(8.0) / np.exp(scores).sum(), rtol=1e-5)


def test_a_text_is_cut_at_the_longest_length(engine: Engine) -> None:
    text = greedy(engine, tokens_of([1]), [4], DecodeOptions(max_tokens=8))[0]
    assert not text.finished
    assert text.ids.tolist() == engine.tokenizer.ids(caption_text(1, "stage_event"))[:6]


def test_no_end_before_the_least_length(engine: Engine) -> None:
    short = engine.tokenizer.ids(caption_text(0, "respiration"))
    text = greedy(engine, tokens_of([0]), [2], DecodeOptions(min_tokens=len(short) + 5))[0]
    assert text.finished
    assert text.ids.tolist() == short + engine.tokenizer.ids(".") * 4  # with the start, five more than the text


def test_a_length_beyond_the_context_is_refused(engine: Engine) -> None:
    with pytest.raises(UsageError, match="2 to 64 tokens"):
        greedy(engine, tokens_of([0]), [0], DecodeOptions(max_tokens=65))


def test_drafts_change_no_byte(tmp_path: Path) -> None:
    engine = Engine(load_bundle(write_fake_bundle(tmp_path / "fake")), device="cpu", threads=1)
    variants, domains = [0, 4, 1, 1, 3, 2, 0, 4, 0, 0, 0, 1], [4, 4, 0, 1, 2, 3, 3, 4, 4, 4, 4, 4]
    plain = greedy(engine, tokens_of(variants), domains, DecodeOptions(drafts=False))
    steps: list[tuple[int, ...]] = []
    step = engine.decoder.step

    def counted(*args, **kwargs):
        steps.append(args[1].shape)
        return step(*args, **kwargs)

    engine.decoder.step = counted  # type: ignore[method-assign]
    for _ in range(3):  # the second time, the book knows the texts
        steps.clear()
        drafted = greedy(engine, tokens_of(variants), domains)
        assert [text.ids.tobytes() for text in drafted] == [text.ids.tobytes() for text in plain]
        assert [text.probabilities.tobytes() for text in drafted] == [text.probabilities.tobytes() for text in plain]
    assert any(shape[1] > 1 for shape in steps)


def test_epochs_are_shared_by_their_domains(engine: Engine) -> None:
    texts = greedy(engine, tokens_of([0, 4]), [4, 0, 4], epochs=[1, 0, 0])
    wanted = [caption_text(4, "stage_event"), caption_text(0, "brain"), caption_text(0, "stage_event")]
    assert [text.ids.tolist() for text in texts] == [engine.tokenizer.ids(text) for text in wanted]


def test_no_rows_and_no_texts(engine: Engine) -> None:
    assert greedy(engine, tokens_of([0]), [], epochs=[]) == []
    with pytest.raises(UsageError, match="written -1 at a time"):
        greedy(engine, tokens_of([0]), [0], DecodeOptions(rows=-1))


def test_several_workers_write_what_one_writes(engine: Engine) -> None:
    signals = np.random.default_rng(3).standard_normal((40, len(engine.bundle.channels), 1920)).astype(np.float32)
    written = set()
    for threads in (1, 4):
        other = Engine(engine.bundle, "cpu", threads=threads)
        embeddings, tokens = other.encode(signals)
        texts = greedy(other, tokens, np.arange(5).repeat(40), epochs=np.tile(np.arange(40), 5))
        ids = b"".join(text.ids.tobytes() + text.probabilities.tobytes() for text in texts)
        written.add(embeddings.tobytes() + tokens.tobytes() + ids)
    assert len(written) == 1


def test_a_part_holds_one_domain_where_they_are_kept_apart() -> None:
    domains = np.array([1, 0, 1, 2, 1, 0])
    divided = parts(domains, 2, apart=True)
    assert sorted(np.concatenate(divided).tolist()) == [*range(6)]
    assert all(len(part) <= 2 and len({*domains[part].tolist()}) == 1 for part in divided)
    assert parts(np.array([], np.int64), 2, apart=True) == []


def test_of_an_unknown_domain_a_few_texts_are_written_first() -> None:
    domains = np.repeat([0, 1, 2], [3, 30, 30])
    divided = parts(domains, 20, apart=True)
    ordered = scouted(divided, domains, {2}.__contains__)
    assert sorted(np.concatenate(ordered).tolist()) == [*range(63)]
    assert [len(part) for part in ordered] == [3, SCOUTS, 15 - SCOUTS, 15, 15, 15]
    assert [int(domains[part[0]]) for part in ordered] == [0, 1, 1, 1, 2, 2]
