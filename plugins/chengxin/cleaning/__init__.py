"""Bytes become standard columns; what cannot be used becomes issue rows and quarantine."""
