"""Links with rate, queue, delay and faults between network namespaces, and what is measured over them.

Linux only, and only as root. ``docs/bench.md`` tells how the links are built and how figures are counted.
"""
