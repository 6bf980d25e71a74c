"""Python's garbage collector rests while the program starts and ends: what it imports stays until the end.

A fifth of a start is the collector's otherwise, and with torch a quarter.
"""

import atexit
import gc


def rest() -> None:
    """Until `resume`. At the end of the program, what is there then is not searched for garbage once more."""
    gc.disable()
    atexit.register(gc.freeze)


def resume() -> None:
    """From where on much comes and goes: garbage is collected, but not looked for in what is there already."""
    if not gc.isenabled():
        gc.freeze()
        gc.enable()
