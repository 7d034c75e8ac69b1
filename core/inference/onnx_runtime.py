"""ONNX Runtime without its telemetry: whoever needs it takes it from here.

Official builds from 1.29 on send session and model facts to Microsoft and keep a device identifier in the user's
cache. Outside Windows the environment variable below, set before the library is loaded, leaves all of that out; on
Windows, where events go to the system's own tracing, they are switched off once it is loaded.
"""

import os

os.environ["ORT_DISABLE_TELEMETRY"] = "1"

import onnxruntime as ort

ort.disable_telemetry_events()

__all__ = ["ort"]
