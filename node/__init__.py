"""A node: creates torrents, shares files, fetches files from their owners."""
