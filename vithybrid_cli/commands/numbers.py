"""Numbers as the user types them; what is none, or out of range, is told with one that would do."""

import math

import typer

LEAST_SHARE, MOST_SHARE = 0.001, 0.9  # of pictures that are held out


def share(text: str) -> float:
    """A part of the whole. Raises BadParameter, which says of 20% that this is 0.2."""
    number = _number(text)
    if LEAST_SHARE <= number <= MOST_SHARE:
        return number
    part = _number(text[:-1]) / 100 if text.endswith("%") else math.nan
    meant = f"it as {part:.6g}" if LEAST_SHARE <= part <= MOST_SHARE else "one as 0.1"
    raise typer.BadParameter(f"{text!r} is no share from {LEAST_SHARE} to {MOST_SHARE}. Give {meant}.")


def rate(text: str) -> float:
    """A learning rate. Raises BadParameter."""
    number = _number(text)
    if number == 0:
        raise typer.BadParameter("With a learning rate of 0 nothing is learnt. Give a higher one, as 0.001.")
    if not 0 < number < math.inf:
        raise typer.BadParameter(f"{text!r} is no learning rate. Give a number above 0, as 0.001.")
    return number


def _number(text: str) -> float:
    """NaN for what is none."""
    try:
        return float(text)
    except ValueError:
        return math.nan
