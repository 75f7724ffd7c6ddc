"""Planted mistakes by topic: each class is wrong in one way, says which, and where it is met."""
