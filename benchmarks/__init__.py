"""Measurements of speed and quality; README.md has the figures."""
