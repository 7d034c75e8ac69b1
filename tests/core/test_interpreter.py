import subprocess
import sys

SWITCH = "from core.interpreter import share_interpreter as share; share(); import sys; print(sys.getswitchinterval())"


def test_a_thread_back_from_native_code_waits_less_than_a_millisecond() -> None:
    told = subprocess.run((sys.executable, "-c", SWITCH), capture_output=True, check=True, text=True).stdout
    assert float(told) < 1e-3
