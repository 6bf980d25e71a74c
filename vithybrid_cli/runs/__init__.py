"""One run from its inputs to its last result: what `classify`, `embed` and `evaluate` do, and jobs will."""
