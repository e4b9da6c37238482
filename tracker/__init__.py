"""The tracker: who is in, who owns what, and which owners are best.

``tracker.py`` beside this package is its launcher; because the package exists, ``import tracker``,
``python tracker.py`` and ``python -m tracker`` all reach it.
"""
