import os
import subprocess
import sys

import pytest

from core.memory import give_back_memory, keep_freed_memory

FAULTS = """
import resource, sys
import numpy as np
from core.memory import keep_freed_memory
if sys.argv[1] == "kept":
    assert keep_freed_memory()
for _ in range(4):
    np.ones(48 << 20, np.uint8)
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt)
"""

PAGES = """
import numpy as np
from core.memory import give_back_memory, keep_freed_memory

def held():
    return int(open("/proc/self/statm").read().split()[1])

assert keep_freed_memory()
arrays = [np.ones(16 << 20, np.uint8) for _ in range(8)]
before = held()
del arrays
kept = held()
assert give_back_memory()
print(before, kept, held())
"""


@pytest.mark.skipif(sys.platform != "linux", reason="a setting of glibc")
def test_freed_memory_is_used_again_without_new_pages() -> None:
    faults = {}
    for how in ("returned", "kept"):
        words, small_pages = (sys.executable, "-c", FAULTS, how), {**os.environ, "NUMPY_MADVISE_HUGEPAGE": "0"}
        faults[how] = int(subprocess.run(words, capture_output=True, check=True, env=small_pages).stdout)
    assert faults["returned"] > 2 * faults["kept"]


@pytest.mark.skipif(sys.platform != "linux", reason="a setting of glibc")
def test_kept_memory_can_be_given_back() -> None:
    made = subprocess.run((sys.executable, "-c", PAGES), capture_output=True, check=True, text=True)
    before, kept, after = (int(pages) for pages in made.stdout.split())
    assert kept > 0.9 * before
    assert after < 0.5 * before


def test_elsewhere_nothing_is_changed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "darwin")
    assert not keep_freed_memory()
    assert not give_back_memory()
