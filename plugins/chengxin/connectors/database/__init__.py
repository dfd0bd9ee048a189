"""Tables of a staging database."""
