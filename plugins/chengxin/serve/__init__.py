"""The serving app reads published snapshots only; it comes with a later issue."""
