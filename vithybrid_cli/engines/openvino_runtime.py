"""OpenVINO, imported without its telemetry. Whatever here needs it takes it from this module.

By itself ``import openvino`` writes an identity into the user's home folder and reports the import to Google Analytics,
unless the user has opted out. Nobody who labels pictures has asked for that, least of all with ``--offline``.
"""

import functools
import sys

_TELEMETRY = "openvino_telemetry"

if "openvino" not in sys.modules:
    # None makes its import fail as if it was not installed, which OpenVINO is prepared for. It stays so: some of
    # OpenVINO's modules are imported later, and fail when only they find it.
    sys.modules.setdefault(_TELEMETRY, None)  # type: ignore[arg-type] # what Python's documentation says to put there

import openvino as openvino  # noqa: E402 # after that

CPU = "CPU"  # its name for the device


@functools.cache
def core() -> openvino.Core:
    """The one core of this process.

    A core gives the thread that first asks it for something a stack for signals, and frees that with itself, though it
    may be in use: with several cores, of which some are gone, Ctrl-C would be a segmentation fault.
    """
    return openvino.Core()
