"""Fitting the model on invented names, so that nothing of a registry is needed or kept."""
