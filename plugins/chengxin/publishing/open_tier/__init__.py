"""The open tier: which rows and columns it shows, and how persons are masked."""
