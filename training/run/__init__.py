"""A training run around its steps: arguments, optimisers, checkpoints, reports."""
