"""Implementations that are correct and differ: none of them may be blamed."""
