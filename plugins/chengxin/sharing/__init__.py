"""Published snapshots for others."""
