"""Nothing that the tests run sends anything anywhere, whatever they import first."""

import os

os.environ["ORT_DISABLE_TELEMETRY"] = "1"
