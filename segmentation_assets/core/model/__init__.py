"""The model in force: its rows, training, successor, identity, drift and names."""
