"""Numbers as the SVG drawings of a page write them."""


def coordinate(number: float) -> str:
    """Without digits that nobody sees: ``12.5``, ``3``."""
    return f"{number:.2f}".rstrip("0").rstrip(".")
