"""Damaged lines and values of received files."""
