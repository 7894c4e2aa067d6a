"""Meaning to insight: associations, operations, findings."""
