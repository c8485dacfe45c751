"""How fast, and how good: measured, with the figures in README.md."""
