import numpy as np
import pytest

from core.inference.decoding import Decoded
from core.inference.drafts import Draft, joined_numbers, read_events
from core.inference.engine import Engine


def draft(engine: Engine, text: str, chances: list[float] | None = None) -> Draft:
    ids = np.array(engine.tokenizer.ids(text), np.int64)
    probabilities = np.full(len(ids), 0.5, np.float32) if chances is None else np.array(chances, np.float32)
    return Draft(engine.tokenizer, Decoded(ids, probabilities, True))


@pytest.mark.parametrize(
    "texts",
    [
        ["the stage is wake.", "no events are present."],
        ["an arousal occurs from 3.0 to 12.5 s.", "a hypopnea occurs from <t_3.0> to <t_20.5>."],
        ["heart rate 61.5 bpm.", "3 spindles at 13.2 hz.", "no slow waves."],
        ["an unfinished sentence"],
    ],
)
def test_sentences_and_their_tokens(engine: Engine, texts: list[str]) -> None:
    whole = draft(engine, " ".join(texts))
    spans = list(whole.spans())
    assert [text.strip() for text, _ in spans] == texts
    assert sum(len(chances) for _, chances in spans) == len(whole.decoded.ids)


def test_an_empty_text_has_no_sentences(engine: Engine) -> None:
    assert list(draft(engine, "").spans()) == []


def test_confidence_is_that_of_the_events_own_sentence(engine: Engine) -> None:
    first = "The stage is Wake."
    second = " An arousal occurs from <t_3.0> to <t_9.5>."
    counts = [len(engine.tokenizer.ids(text)) for text in (first, second)]
    (event,) = read_events(4, draft(engine, first + second, [0.2] * counts[0] + [0.9] * counts[1]))
    assert (event.epoch, event.type, event.onset, event.duration) == (4, "arousal", 3.0, 6.5)
    assert event.confidence == pytest.approx(0.9)


def test_the_published_tokenizers_spaces_are_closed() -> None:
    told = "spo 2 mean 9 3 . 5 % , from 1 0 . 0 to 2 2 . 5 s ."
    assert joined_numbers(told) == "spo 2 mean 93.5%, from 10.0 to 22.5 s."
