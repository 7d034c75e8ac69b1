"""A library on an object storage: the S3 of moto on this machine, where it is installed: `pip install moto[server]`."""

import json
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.sleepcli.conftest import PLANTED, Command, sleepcli_in, write_edf

pytest.importorskip("lancedb")
pytest.importorskip("moto.server", exc_type=ImportError)

LABELS = ("EEG C3-M2", "EOG E1-M2", "EMG chin")
LIBRARY = "s3://bucket/lab"


@pytest.fixture(scope="module")
def storage() -> Iterator[str]:
    """Address of an S3 that answers, with one bucket."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    words = [sys.executable, "-W", "ignore", "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    with subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as server:
        address = f"http://127.0.0.1:{port}"
        for _ in range(600):
            try:
                urllib.request.urlopen(urllib.request.Request(f"{address}/bucket", method="PUT"), timeout=10).close()
                break
            except OSError:
                time.sleep(0.1)
        yield address
        server.terminate()


@pytest.fixture
def keys(storage: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The usual variables of AWS."""
    for name, value in {"ACCESS_KEY_ID": "key", "SECRET_ACCESS_KEY": "secret", "REGION": "us-east-1"}.items():
        monkeypatch.setenv(f"AWS_{name}", value)
    monkeypatch.setenv("AWS_ENDPOINT_URL", storage)
    monkeypatch.setenv("AWS_ALLOW_HTTP", "true")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")


def lines(text: str) -> list[dict[str, object]]:
    return [json.loads(line) for line in text.splitlines()]


@pytest.mark.usefixtures("keys")
def test_a_library_in_a_bucket_is_written_by_two_read_and_left_alone_by_a_rerun(
    program: Command, tmp_path: Path, model: Path, storage: str
) -> None:
    for seed in (1, 2):
        write_edf(tmp_path / f"night{seed}.edf", LABELS, seed=seed)
    elsewhere = sleepcli_in(tmp_path, SLEEPCLI_MODEL=str(model))
    with subprocess.Popen([sys.executable, "-c", SECOND, str(tmp_path)], stdout=subprocess.PIPE) as second:
        first = program("index", "night1.edf", "--library", LIBRARY)
        told, _ = second.communicate(timeout=300)
    assert (first.returncode, second.returncode) == (0, 0), first.stderr + told.decode()
    again = elsewhere("index", "night1.edf", "night2.edf", "--library", LIBRARY)
    assert [row["state"] for row in lines(again.stdout)] == ["unchanged", "unchanged"], again.stderr
    assert "holds 2 studies with 8 epochs" in again.stderr
    found = program("query", "delta above 1 %", "--library", LIBRARY, "--top", "3")
    plain = program("query", "delta above 1 %", "night1.edf", "night2.edf", "--top", "3", "--no-scoring")
    assert found.returncode == 0, found.stderr
    assert found.stdout == plain.stdout != ""
    with urllib.request.urlopen(f"{storage}/bucket?list-type=2", timeout=30) as answer:
        listed = answer.read().decode()
    assert "lab/epochs.lance" in listed
    assert PLANTED not in listed


SECOND = """
import sys, os
os.chdir(sys.argv[1])
sys.argv = ["sleepcli", "index", "night2.edf", "--library", "s3://bucket/lab"]
from sleepcli.app import app
app()
"""


@pytest.mark.usefixtures("keys")
@pytest.mark.parametrize(
    ("place", "settings", "sentence", "code"),
    [
        ("s3://nobucket/lab", {}, "there is no such bucket", 2),
        ("s3://bucket/nothing", {}, "There is no library in s3://bucket/nothing", 2),
        (LIBRARY, {"AWS_ALLOW_HTTP": None}, "its endpoint is not encrypted", 2),
        (LIBRARY, {"AWS_ACCESS_KEY_ID": None, "AWS_SECRET_ACCESS_KEY": None}, "no credentials", 3),
        (LIBRARY, {"AWS_ENDPOINT_URL": "http://127.0.0.1:9"}, "the object storage does not answer", 3),
        ("s4://bucket/lab", {}, "no storage has addresses of this kind", 2),
        ("s3://", {}, "its address is not whole", 2),
    ],
)
def test_what_is_wrong_with_a_storage_is_one_sentence(
    program: Command, monkeypatch: pytest.MonkeyPatch, place: str, settings: dict[str, str | None], sentence: str,
    code: int,
) -> None:  # fmt: skip
    for name, value in settings.items():
        monkeypatch.delenv(name) if value is None else monkeypatch.setenv(name, value)
    monkeypatch.setenv("HOME", "/nonexistent")  # no credentials of whoever runs this
    result = program("query", "waves", "--library", place)
    assert result.returncode == code, result.stderr
    errors = [line for line in result.stderr.splitlines() if line.startswith("Error:")]
    assert len(errors) == 1
    assert sentence in errors[0]
    assert "location" not in errors[0].lower()
