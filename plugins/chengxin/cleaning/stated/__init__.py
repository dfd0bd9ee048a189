"""What a delivery states of itself beside its rows (how many there are, in which unit) against what was read."""
