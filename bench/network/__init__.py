"""Links with rate, queue, delay and faults between network namespaces, and measurements over them.

Linux only, and only as root. ``docs/bench.md`` describes how the links are built and how figures are counted.
"""
