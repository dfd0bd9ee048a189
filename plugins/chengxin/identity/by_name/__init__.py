"""Probabilistic linkage by name: blocking, comparison, an additive model, and decoys that tell how often it errs."""
