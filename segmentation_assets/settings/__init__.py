"""The settings file: what a person may edit, described, bounded and defaulted."""
