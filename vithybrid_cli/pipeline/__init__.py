"""Pictures through a network: read ahead, cut into batches, computed, and given in their order."""
