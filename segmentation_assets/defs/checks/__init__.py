"""Checks of a snapshot and of its source."""
