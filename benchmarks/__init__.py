"""Measurements that back what the documents claim."""
