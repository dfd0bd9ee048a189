"""MEANING shared by all sources: data elements, record kinds, code lists, identifiers, rules."""
