"""Tables are known by their suffixes."""

PARQUET, ARROW = "parquet", "arrow"  # the schemes of their rows' names
PARQUET_SUFFIXES, ARROW_SUFFIXES = (".parquet", ".parq", ".pq"), (".arrow", ".feather")


def scheme_of_table(path: str) -> str | None:
    """What the names of its rows begin with, by its suffix; None for what is no table."""
    name = path.lower()
    if name.endswith(PARQUET_SUFFIXES):
        return PARQUET
    return ARROW if name.endswith(ARROW_SUFFIXES) else None
