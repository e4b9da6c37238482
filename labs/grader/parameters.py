"""Random numbers that belong to one student, one lab and one term.

They draw rates, delays, loss positions and the numbers to predict, never the rule: so two students have
different answers to the same question. Pure.
"""

from __future__ import annotations

import hashlib
import random

NOBODY = "nobody"  # the student if none is named


def seed_of(course: str, salt: str, lab: str, student: str) -> int:
    """64 bits of SHA-256(course ‖ term salt ‖ lab ‖ student)."""
    text = "\x00".join((course, salt, lab, student.strip().lower()))
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big")


def draw(seed: int, purpose: str) -> random.Random:
    """The random numbers of ``purpose`` (a stage, "predict"): independent of all other purposes."""
    digest = hashlib.sha256(f"{seed:016x}\x00{purpose}".encode()).digest()
    return random.Random(int.from_bytes(digest[:8], "big"))
