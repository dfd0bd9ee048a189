"""JSON and XML."""
