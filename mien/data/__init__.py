"""Labelled pictures: reading them, splitting them without leaks, changing them for training."""
