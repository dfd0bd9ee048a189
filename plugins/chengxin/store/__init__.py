"""MECHANISM: bytes, paths, atomicity, manifests, pointers. Knows nothing of credit."""
