"""Decisions without sockets, threads or clocks: who fetches what."""

from typing import TypeAlias

Source: TypeAlias = tuple[int, tuple[str, int]]  # whom a download fetches from: node id and address
