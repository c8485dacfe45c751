"""The model in force: rows, training, replacement, segment identity, drift and names."""
