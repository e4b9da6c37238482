"""The storages of the tracker's records. ``base`` states the obligations of every kind."""
