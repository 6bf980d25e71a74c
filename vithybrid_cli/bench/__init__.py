"""Measures speed: decoding, network, the whole way and whole processes, ours and those of other libraries."""
