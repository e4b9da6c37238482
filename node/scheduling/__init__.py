"""Decisions of a download without sockets, threads or clocks: the bytes that each source is asked for."""
