"""Versions of records that no longer hold: written at each publication, read as of an earlier one."""
