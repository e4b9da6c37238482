"""What both ends agree on. Nothing here opens a socket, starts a thread or reads a clock (logs excepted)."""
