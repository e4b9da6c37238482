"""Code that the tracker and the nodes share. No sockets and threads; only ``files`` and ``logs`` do I/O."""
