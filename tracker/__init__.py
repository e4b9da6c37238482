"""The tracker: the nodes of the swarm, the files that they own, and which owners are best.

``tracker.py`` next to this package is its launcher. ``import tracker``, ``python tracker.py`` and
``python -m tracker`` all reach this package.
"""
