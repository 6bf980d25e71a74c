"""Imports OpenVINO without its telemetry; other modules import it from here.

Without this, ``import openvino`` writes an identity into the user's home folder and reports the import to Google
Analytics, unless the user has opted out. Nobody who labels pictures asked for that, least of all with ``--offline``.
"""

import functools
import sys

_TELEMETRY = "openvino_telemetry"

if "openvino" not in sys.modules:
    # None makes importing it fail as if it was not installed, which OpenVINO handles. It has to stay: some of
    # OpenVINO's modules are imported later, and fail if only they find it.
    sys.modules.setdefault(_TELEMETRY, None)  # type: ignore[arg-type] # what Python's documentation says to put there

import openvino as openvino  # noqa: E402

CPU = "CPU"  # its name for the device


@functools.cache
def core() -> openvino.Core:
    """The only OpenVINO core of this process.

    A core gives the thread that first uses it a signal stack, and frees that stack when it is deleted, in use or not:
    after one of several cores is gone, Ctrl-C would be a segmentation fault.
    """
    return openvino.Core()
