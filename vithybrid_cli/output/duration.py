"""Times that people wait, in words."""

from vithybrid_cli.errors import counted

_MINUTE, _HOUR, _DAY = 60, 3600, 86_400


def duration(seconds: float) -> str:
    """``seconds`` in one unit, or in two where hours or days are few: ``45 s``, ``12 min``, ``2 h 10 min``."""
    if seconds < 100:
        return f"{max(seconds, 0):.0f} s"
    if seconds < 100 * _MINUTE:
        return f"{seconds / _MINUTE:.0f} min"
    if seconds < 2 * _DAY:
        hours, minutes = divmod(round(seconds / _MINUTE), 60)
        return f"{hours} h {minutes} min" if minutes and hours < 10 else f"{round(seconds / _HOUR)} h"
    days, hours = divmod(round(seconds / _HOUR), 24)
    return f"{counted(days, 'day')} {hours} h" if hours and days < 10 else counted(round(seconds / _DAY), "day")
