"""Customers as points, algorithms that group them, and models of labelled prototypes."""
