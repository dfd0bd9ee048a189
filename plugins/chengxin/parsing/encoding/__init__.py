"""Encodings: detection and decoding."""
