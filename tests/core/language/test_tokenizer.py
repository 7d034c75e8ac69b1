"""Token ids and back, for our own vocabulary and CLIP's."""

import gzip
import importlib.util
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from core.errors import ModelError
from core.language.describe import describe
from core.language.facts import DOMAINS, SLOTS, TIME_TOKENS, EpochFacts
from core.language.read_back import read_back
from core.language.tokenizer import Tokenizer, clip_tokenizer, train_tokenizer

FactsOf = Callable[[int], EpochFacts]


@pytest.fixture(scope="module")
def captions(facts_of: FactsOf) -> list[str]:
    return [
        describe(facts_of(seed), domain, seed, form)
        for seed in range(60)
        for domain in DOMAINS
        for form in ("numbers", "slots", "words")
    ]


@pytest.fixture(scope="module")
def tokenizer(captions: list[str]) -> Tokenizer:
    return train_tokenizer(captions, 1500, 96)


def test_control_tokens_and_padding(tokenizer: Tokenizer) -> None:
    row = tokenizer.encode(["An arousal."])[0]
    length = int(np.flatnonzero(row == tokenizer.end_id)[0])
    assert row.shape == (96,)
    assert row.dtype == np.int64
    assert (row[0], row[length]) == (1, 2)
    assert np.all(row[length + 1 :] == 0)
    assert tokenizer.pad_id == 0


def test_a_text_that_is_too_long_keeps_its_end(tokenizer: Tokenizer) -> None:
    row = tokenizer.encode(["arousal " * 500], context_length=10)[0]
    assert row.shape == (10,)
    assert row[-1] == tokenizer.end_id
    assert row[0] == tokenizer.start_id


def test_each_slot_and_time_is_one_token(tokenizer: Tokenizer) -> None:
    for token in (*SLOTS, *TIME_TOKENS):
        assert len(tokenizer.ids(token)) == 1
        assert tokenizer.decode(tokenizer.ids(token)) == token
    assert len(tokenizer.ids(" <rmssd>")) == 1  # the space before it belongs to it


def test_a_number_is_its_whole_part_and_each_digit_after_the_point(tokenizer: Tokenizer) -> None:
    def words(text: str) -> list[str]:
        return [tokenizer.decode([token]) for token in tokenizer.ids(text)]

    assert words("delta 62.4%")[-3:-1] == ["62", ".4"]
    assert words("ratio 1.25")[-3:] == ["1", ".2", "5"]
    assert tokenizer.decode(tokenizer.ids("1984 beats, 0.05 s. 72 bpm")) == "1984 beats, 0.05 s. 72 bpm"


def test_whole_numbers_are_known_with_and_without_the_space_before_them(tokenizer: Tokenizer) -> None:
    numbers = tokenizer.whole_numbers()
    assert {*range(10)} <= {*numbers.values()}
    for token, value in numbers.items():
        assert int(tokenizer.decode([token])) == value
    assert list(numbers.values()).count(7) == 2  # "7" and " 7"


def test_decoding_gives_the_caption_in_lower_case(tokenizer: Tokenizer, captions: list[str]) -> None:
    for caption in captions:
        row = tokenizer.encode([caption], context_length=512)[0]
        assert tokenizer.decode(row) == caption.lower()


def test_decoded_captions_are_read_back(facts_of: FactsOf, tokenizer: Tokenizer) -> None:
    for seed in range(40):
        facts = facts_of(seed)
        for domain in DOMAINS:
            text = describe(facts, domain, seed, "slots")
            decoded = tokenizer.decode(tokenizer.encode([text], context_length=512)[0])
            assert read_back(decoded, domain) == read_back(text, domain)


def test_any_text_survives(tokenizer: Tokenizer) -> None:
    assert tokenizer.decode(tokenizer.encode(["ß é 睡眠 µV %"])[0]) == "ß é 睡眠 µv %"


def test_odd_ids_are_left_out(tokenizer: Tokenizer) -> None:
    assert tokenizer.decode([1, -5, 10**6, 0, 2, 7]) == ""


def test_training_is_deterministic_and_saving_exact(tokenizer: Tokenizer, captions: list[str], tmp_path: Path) -> None:
    tokenizer.save(tmp_path / "one.json")
    train_tokenizer(captions, 1500, 96).save(tmp_path / "two.json")
    Tokenizer.load(tmp_path / "one.json").save(tmp_path / "three.json")
    contents = {path.read_bytes() for path in tmp_path.iterdir()}
    assert len(contents) == 1
    loaded = Tokenizer.load(tmp_path / "one.json")
    assert np.array_equal(loaded.encode(captions[:20]), tokenizer.encode(captions[:20]))
    assert (loaded.kind, loaded.context_length, loaded.vocab_size) == ("bpe", 96, tokenizer.vocab_size)
    assert loaded.decode(loaded.ids("x <rmssd>.")) == "x <rmssd>."


@pytest.mark.parametrize(
    "content", [b"", b"\xff\x00", b"{}", b'{"format": 1, "kind": "bpe", "context_length": 3, "tokenizer": {}}']
)
def test_a_damaged_file_is_a_model_error(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "tokenizer.json"
    path.write_bytes(content)
    with pytest.raises(ModelError, match=r"tokenizer\.json"):
        Tokenizer.load(path)


def test_a_missing_file_is_a_model_error(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="read"):
        Tokenizer.load(tmp_path / "tokenizer.json")


# CLIP


@pytest.fixture
def merges(tmp_path: Path) -> Path:
    path = tmp_path / "merges.txt.gz"
    with gzip.open(path, "wt", encoding="utf-8") as table:
        table.write('"bpe_simple_vocab_16e6.txt#version: 0.2\nt h\nth e</w>\ns l\nsl e\ne p</w>\nsle ep</w>\n')
    return path


def test_clip_follows_a_hand_made_merge_table(merges: Path) -> None:
    tokenizer = clip_tokenizer(merges)
    assert tokenizer.kind == "clip"
    assert tokenizer.vocab_size == 512 + 6 + 2
    assert (tokenizer.start_id, tokenizer.end_id, tokenizer.pad_id) == (518, 519, 0)
    assert tokenizer.context_length == 256
    # merge number k has the id 512 + k; "!" is byte symbol 0, so "a</w>" is 256 + 64 and digit "1" ends a word
    assert tokenizer.ids("The  SLEEP") == [513, 517]
    assert tokenizer.ids("the&amp;") == [513, 256 + ord("&") - ord("!")]
    assert tokenizer.ids("12") == [256 + ord("1") - ord("!"), 256 + ord("2") - ord("!")]
    assert tokenizer.ids("thes") == [512, ord("e") - ord("!"), 256 + ord("s") - ord("!")]
    assert tokenizer.decode(tokenizer.encode(["the sleep"])[0]) == "the sleep"


def test_clip_survives_saving(merges: Path, tmp_path: Path) -> None:
    tokenizer = clip_tokenizer(merges)
    tokenizer.save(tmp_path / "tokenizer.json")
    loaded = Tokenizer.load(tmp_path / "tokenizer.json")
    assert loaded.kind == "clip"
    assert np.array_equal(loaded.encode(["the sleep 12.5 é"]), tokenizer.encode(["the sleep 12.5 é"]))


def test_a_merge_table_that_is_none_is_a_model_error(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="read"):
        clip_tokenizer(tmp_path / "none.gz")
    (tmp_path / "broken.gz").write_bytes(b"not gzip")
    with pytest.raises(ModelError, match="read"):
        clip_tokenizer(tmp_path / "broken.gz")
    (tmp_path / "prose.txt").write_text("once\nupon a time there was\n", encoding="utf-8")
    with pytest.raises(ModelError, match="CLIP"):
        clip_tokenizer(tmp_path / "prose.txt")


def published_table() -> Path | None:
    """CLIP's own table, where open_clip is installed or the variable names it."""
    named = os.environ.get("SLEEPCLI_TEST_CLIP_MERGES")
    if named:
        return Path(named)
    spec = importlib.util.find_spec("open_clip")
    if spec is None or spec.origin is None:
        return None
    return Path(spec.origin).with_name("bpe_simple_vocab_16e6.txt.gz")


def test_clip_with_the_published_table() -> None:
    table = published_table()
    if table is None or not table.exists():
        pytest.skip("open_clip's merge table is not on this machine")
    tokenizer = clip_tokenizer(table)
    assert (tokenizer.vocab_size, tokenizer.start_id, tokenizer.end_id) == (49408, 49406, 49407)
    # published by OpenAI's CLIP and by transformers' documentation
    assert tokenizer.ids("a photo of a cat") == [320, 1125, 539, 320, 2368]
    assert tokenizer.ids("Hello world!") == [3306, 1002, 256]
