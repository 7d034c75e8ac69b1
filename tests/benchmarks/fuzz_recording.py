"""Open thousands of damaged EDF and BDF files: only a readable recording or one sentence may come out.

    python tests/benchmarks/fuzz_recording.py [--count 10000] [--seed 1]

Each file has 5 s of processor time, so that a busy machine fails none, and the process 1 GiB of memory. Failures are
printed with the seed that makes them again (`--seed S --count 1`), and end the run with exit code 1.
"""

import argparse
import resource
import signal
import sys
import tempfile
import time
import traceback
import warnings
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from types import FrameType

import numpy as np

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from core.errors import SleepcliError  # noqa: E402
from core.psg.deidentify import deidentify  # noqa: E402
from core.psg.recording import open_recording  # noqa: E402
from tests.core.psg.edf_files import (  # noqa: E402
    RECORDING_FIELDS,
    SIGNAL_FIELDS,
    Signal,
    annotation_signal,
    edf_bytes,
    ramp,
    time_keeping,
)

SECONDS = 5.0
MEMORY_BYTES = 1 << 30
NASTY = (
    *(b"", b"-1", b"0", b"1", b"2", b"255", b"256", b"257", b"9999", b"99999999", b"-9999999", b"1e99", b"1e-9"),
    *(b"1e9", b"nan", b"inf", b"-inf", b"0,5", b"0.333333", b"1.5", b"+1", b"1_0", b"0x10", b"\x00" * 8, b"\xff" * 8),
    *(b"EDF+C", b"EDF+D", b"BDF+D", b"24BIT", b"EDF Annotations", b"BDF Annotations", b"31.02.10", b"99.99.99"),
    *("Ärger µV".encode(), b"\xb5V", b"-32768", b"32767", b"8388607", b"1e38", b"-0", b"00000001", b" 4", b"4 "),
)


def base_files() -> list[bytes]:
    """Small whole files of every kind."""
    eeg, slow = Signal("EEG C3-M2", ramp(12, 64)), Signal("SpO2", ramp(12, 1, 2))
    onsets = [f"+{i}" for i in range(12)]
    gaps = [f"+{i + 50 * (i > 5):07d}" for i in range(12)]
    lists = [f"+{i}\x1530\x14Sleep stage W\x14\x00".encode() for i in range(12)]
    wide = Signal("EEG C3-M2", ramp(12, 64, bits=24))
    files = [
        edf_bytes([eeg, slow]),
        edf_bytes([eeg, annotation_signal(time_keeping(onsets, lists)), slow], reserved="EDF+C"),
        edf_bytes([eeg, annotation_signal(time_keeping(gaps, lists))], reserved="EDF+D", record_duration="0.5"),
        edf_bytes([annotation_signal([b"".join(lists)], 400)], reserved="EDF+C", record_duration="0"),
        edf_bytes([wide], bdf=True),
        edf_bytes([wide, annotation_signal(time_keeping(gaps, lists), bdf=True)], bdf=True, reserved="BDF+D"),
        edf_bytes([Signal(f"E{i}", ramp(3, 8, i)) for i in range(70)]),
    ]
    clip = ROOT / "../shared/data/edf/sleep_edf_clip.edf"
    return [*files, clip.read_bytes()] if clip.exists() else files


def field_places(content: bytes) -> list[tuple[int, int]]:
    """Offset and width of every field of a whole file's header."""
    count = int(content[252:256])
    places, position = [], 0
    for layout, repeats in ((RECORDING_FIELDS, 1), (SIGNAL_FIELDS, count)):
        for _, width in layout:
            places += [(position + i * width, width) for i in range(repeats)]
            position += width * repeats
    return places


def mutate(content: bytes, random: np.random.Generator) -> bytes:
    """Damage a file in one to six places."""
    places = field_places(content)
    data = bytearray(content)
    header = 256 * (int(content[252:256]) + 1)
    for _ in range(int(random.integers(1, 7))):
        if not data:
            break
        kind = int(random.integers(0, 9))
        spot = int(random.integers(0, len(data)))
        length = int(random.integers(1, 64))
        if kind <= 2:
            offset, width = places[int(random.integers(0, len(places)))]
            data[offset : offset + width] = NASTY[int(random.integers(0, len(NASTY)))].ljust(width)[:width]
        elif kind == 3:
            data[spot] = int(random.integers(0, 256))
        elif kind == 4:
            del data[spot:]
        elif kind == 5:
            data[spot:spot] = random.bytes(length)
        elif kind == 6:
            del data[spot : spot + length]
        elif kind == 7:
            head = int(random.integers(0, min(header, len(data))))
            data[head : head + length] = (
                random.choice(list(b"0123456789.,+-e \x00\x14\x15"), length).astype(np.uint8).tobytes()
            )
        else:
            onset = content.find(b"+", header + int(random.integers(0, len(content) - header)))
            if onset >= 0:
                after = onset + 1 + int(random.integers(0, 7))
                digits = random.choice(list(b"0123456789.-\x14\x00"), 2).astype(np.uint8).tobytes()
                data[after : after + 2] = digits
    return bytes(data)


def read_everything(path: Path, copy: Path | None) -> str:
    """Open a file and read all that it has; return what came out."""
    try:
        recording = open_recording(path)
        total = 0
        for info in recording.signals:
            samples = recording.read(info.index)
            if samples.dtype != np.float32 or samples.shape != (info.n_samples,) or np.isinf(samples).any():
                raise AssertionError(f"{samples.dtype} {samples.shape} of {info}")
            total += samples.size
        _ = recording.annotations, recording.content_hash
        if copy is not None:
            deidentify(path, copy)
    except SleepcliError as error:
        if "\n" in str(error) or not str(error).strip():
            raise AssertionError("not one sentence") from error
        return "refused"
    return "repaired" if recording.repairs else "read"


def too_slow(_number: int, _frame: FrameType | None) -> None:
    raise TimeoutError(f"more than {SECONDS} s of processor time")


def run(count: int, seed: int, folder: Path, report: Callable[[str], None]) -> int:
    """Try `count` files; return how many failed."""
    bases = base_files()
    outcomes: Counter[str] = Counter()
    slowest = 0.0
    path = folder / "mutated.edf"
    for number in range(seed, seed + count):
        random = np.random.default_rng(number)
        path.write_bytes(mutate(bases[number % len(bases)], random))
        begin = time.process_time()
        signal.setitimer(signal.ITIMER_PROF, SECONDS)
        try:
            outcome = read_everything(path, folder / "copy.edf" if number % 4 == 0 else None)
        except Exception:  # noqa: BLE001 - what comes out here is the finding
            outcome = "failed"
            report(f"seed {number}: {traceback.format_exc(limit=-3)}")
        finally:
            signal.setitimer(signal.ITIMER_PROF, 0)
        slowest = max(slowest, time.process_time() - begin)
        outcomes[outcome] += 1
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    report(f"seeds {seed} to {seed + count - 1}: " + ", ".join(f"{n} {name}" for name, n in outcomes.most_common()))
    report(f"slowest {slowest:.2f} s, peak {peak:.0f} MiB resident")
    return outcomes["failed"]


def main() -> int:
    """Parse the command line and run."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--count", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    resource.setrlimit(resource.RLIMIT_DATA, (MEMORY_BYTES, MEMORY_BYTES))
    signal.signal(signal.SIGPROF, too_slow)
    warnings.simplefilter("error")
    with tempfile.TemporaryDirectory() as folder:
        return 1 if run(arguments.count, arguments.seed, Path(folder), print) else 0


if __name__ == "__main__":
    sys.exit(main())
