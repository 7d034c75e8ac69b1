import os
import subprocess
import sys

import pytest

SWITCH = "from core.threads import share_interpreter as share; share(); import sys; print(sys.getswitchinterval())"
THREADS = """
import os, sys
from sleepcli.app import app
assert "numpy" not in sys.modules
app(["models", "list", "--json"], standalone_mode=False)
print(os.environ["OPENBLAS_NUM_THREADS"], file=sys.stderr)
"""


def test_a_thread_back_from_native_code_waits_less_than_a_millisecond() -> None:
    told = subprocess.run((sys.executable, "-c", SWITCH), capture_output=True, check=True, text=True).stdout
    assert float(told) < 1e-3


@pytest.mark.parametrize(("wish", "used"), [(None, "1"), ("4", "4")])
def test_a_command_multiplies_in_one_thread_unless_told_otherwise(wish: str | None, used: str) -> None:
    given = {name: value for name, value in os.environ.items() if name != "OPENBLAS_NUM_THREADS"}
    if wish is not None:
        given["OPENBLAS_NUM_THREADS"] = wish
    made = subprocess.run((sys.executable, "-c", THREADS), capture_output=True, check=True, text=True, env=given)
    assert made.stderr.split()[-1] == used
