"""A run too large for one process: cut into shards, which any number of processes and machines compute; then merged."""
