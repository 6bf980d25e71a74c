"""How checkpoints are published: one module per layout, and what layouts share."""
