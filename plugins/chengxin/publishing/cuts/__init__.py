"""Cuts: what recipients with equal grants may have of the government tier, as a tier of its own."""
