"""Measurements: each figure against something measured in the same run."""
