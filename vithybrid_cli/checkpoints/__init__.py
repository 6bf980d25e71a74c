"""A name becomes a ready network: where a checkpoint lies, how its tensors are called, and how they are loaded."""
