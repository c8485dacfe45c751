"""Pictures, drawn from tables."""
