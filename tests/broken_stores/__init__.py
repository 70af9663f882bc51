"""Histories that break one promise each, for the test of the contract that has to notice.

Each serves a scheme of its own. Importing this package registers them all, also in another process.
"""

from __future__ import annotations

from broken_stores import (
    of_abilities,
    of_appending,
    of_damage,
    of_loops,
    of_opening,
    of_positions,
    of_reading,
    of_sharing,
    of_values,
)
from broken_stores.catalogue import BROKEN, Broken

__all__ = [
    "BROKEN",
    "Broken",
    "of_abilities",
    "of_appending",
    "of_damage",
    "of_loops",
    "of_opening",
    "of_positions",
    "of_reading",
    "of_sharing",
    "of_values",
]
