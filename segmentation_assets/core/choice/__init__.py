"""Which clustering of many is worth having: stability, separation, use for what comes after."""
