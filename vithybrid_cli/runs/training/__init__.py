"""A training run as a person follows it: what it begins with, says and writes beside its checkpoint."""
