"""How many pictures at once fit into a device's memory, as far as that was found out."""

import threading


class BatchLimit:
    """Shared by the engines of one run, so that each batch is computed in the same parts wherever it is computed."""

    def __init__(self, value: int | None = None) -> None:
        self.value = value
        self._changing = threading.Lock()

    def lower(self, value: int) -> bool:
        """Note that more than ``value`` do not fit. True for the first caller."""
        with self._changing:
            is_first = self.value is None
            self.value = value if self.value is None else min(self.value, value)
        return is_first
