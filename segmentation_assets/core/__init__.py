"""Pure computations: Ibis expressions for rows, NumPy for geometry. No dagster, no file access."""
