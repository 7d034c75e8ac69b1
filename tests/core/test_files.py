"""Files and folders are whole or as they were, whatever happens while they are written."""

import os
from pathlib import Path

import pytest

from core.errors import SleepcliError
from core.files import content_hash, whole_file, whole_folder, write_text


class Killed(BaseException):
    """What ends a run in the middle."""


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_block_that_ends_well_replaces_what_was_there(tmp_path: Path) -> None:
    write_text(tmp_path / "a.txt", "old")
    write_text(tmp_path / "a.txt", "µV\n")
    assert (tmp_path / "a.txt").read_bytes() == "µV\n".encode()
    write_text(tmp_path / "b" / "c" / "a.txt", "in folders that were not there")
    assert names(tmp_path / "b" / "c") == ["a.txt"]
    for text in ("old", "new"):
        with whole_folder(tmp_path / "deep" / "n.psg") as folder:
            (folder / f"{text}.txt").write_text(text)
    assert names(tmp_path / "deep" / "n.psg") == ["new.txt"]
    assert names(tmp_path) == ["a.txt", "b", "deep"]
    assert names(tmp_path / "deep") == ["n.psg"]


def half_written(path: Path, failure: type[BaseException]) -> None:
    path.write_text("half")
    raise failure


@pytest.mark.parametrize("failure", [Killed, ValueError])
def test_a_block_that_fails_leaves_what_was_there(tmp_path: Path, failure: type[BaseException]) -> None:
    write_text(tmp_path / "n.psg" / "old.txt", "old")
    write_text(tmp_path / "a.txt", "old")
    with pytest.raises(failure), whole_folder(tmp_path / "n.psg") as folder:
        half_written(folder / "new.txt", failure)
    with pytest.raises(failure), whole_file(tmp_path / "a.txt") as path:
        half_written(path, failure)
    assert names(tmp_path) == ["a.txt", "n.psg"]
    assert names(tmp_path / "n.psg") == ["old.txt"]
    assert (tmp_path / "a.txt").read_text() == "old"


def test_a_folder_set_aside_by_a_killed_run_comes_back(tmp_path: Path) -> None:
    write_text(tmp_path / ".n.psg.old.part" / "old.txt", "old")  # killed between the two renames
    write_text(tmp_path / ".n.psg.part" / "new.txt", "new")
    with pytest.raises(ValueError, match="stop"), whole_folder(tmp_path / "n.psg"):
        raise ValueError("stop")
    assert names(tmp_path) == ["n.psg"]
    assert names(tmp_path / "n.psg") == ["old.txt"]


def test_what_cannot_be_written_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    for write in (whole_file, whole_folder):
        with pytest.raises(SleepcliError, match="cannot be written"), write(tmp_path / "file" / "a"):
            pytest.fail("nothing to write to")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no full device")
def test_a_full_disk_is_one_sentence_and_leaves_the_old_file(tmp_path: Path) -> None:
    write_text(tmp_path / "a.txt", "old")
    os.symlink("/dev/full", tmp_path / ".a.txt.part")
    with pytest.raises(SleepcliError, match="no space left"):
        write_text(tmp_path / "a.txt", "new")
    assert names(tmp_path) == ["a.txt"]
    assert (tmp_path / "a.txt").read_text() == "old"


def test_a_hash_follows_names_and_contents(tmp_path: Path) -> None:
    hashes = set()
    for number, (name, text) in enumerate([("a", "1"), ("a", "2"), ("b", "1")]):
        write_text(tmp_path / str(number) / name, text)
        hashes.add(content_hash(tmp_path / str(number)))
    assert len(hashes) == 3
