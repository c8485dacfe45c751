"""Customers as data: clean rows, sums per window, features."""
