"""Broken at values: what comes back is not what was stored."""

from __future__ import annotations

from broken_stores.catalogue import Fields, Rewriting, breaks
from iterlog.record import ORIGINAL_FIELDS

_NON_FINITE = {"NaN", "Infinity", "-Infinity"}


@breaks("test_every_field_comes_back")
class KeepsTheNineFields(Rewriting):
    """Stores the original nine fields and no other."""

    def rewrite(self, fields: Fields) -> Fields:
        """Leave out what is newer."""
        return {name: fields[name] for name in ORIGINAL_FIELDS}


@breaks("test_non_finite_metrics_come_back")
class NullForNaN(Rewriting):
    """Writes null for what JSON has no number for."""

    def rewrite(self, fields: Fields) -> Fields:
        """Put null in place of NaN and the infinities."""
        metrics = {key: None if value in _NON_FINITE else value for key, value in _hashable(fields["metrics"]).items()}
        return {**fields, "metrics": metrics}


@breaks("test_numbers_of_other_libraries_are_recorded")
class ListsAsText(Rewriting):
    """Has columns for numbers and text only."""

    def rewrite(self, fields: Fields) -> Fields:
        """Put text in place of lists."""
        return {**fields, "metrics": _hashable(fields["metrics"])}


@breaks("test_integers_of_any_size_come_back")
class IntegersAsFloats(Rewriting):
    """Has 64 bits for a number, as JavaScript has."""

    def rewrite(self, fields: Fields) -> Fields:
        """Put a float in place of an integer."""
        return {**fields, "metrics": {key: float(value) for key, value in fields["metrics"].items()}}


@breaks("test_floats_come_back_to_the_last_bit")
class RoundsFloats(Rewriting):
    """Stores six digits."""

    def rewrite(self, fields: Fields) -> Fields:
        """Round."""
        return {**fields, "metrics": {key: round(value, 6) for key, value in fields["metrics"].items()}}


@breaks("test_any_text_comes_back")
class OneKindOfLineEnd(Rewriting):
    """Opens its files in text mode."""

    def rewrite(self, fields: Fields) -> Fields:
        """Put one kind of line end in place of all others."""
        return {**fields, "code": fields["code"].replace("\r\n", "\n").replace("\r", "\n"), "code_hash": None}


@breaks("test_moments_and_decimals_are_recorded")
class WholeSeconds(Rewriting):
    """Has a column of seconds for the time."""

    def rewrite(self, fields: Fields) -> Fields:
        """Cut the fraction off."""
        return {**fields, "timestamp": fields["timestamp"][: len("2025-01-09T12:34:56")]}


@breaks("test_code_may_be_missing_or_empty")
class EmptyIsMissing(Rewriting):
    """Takes the empty text for none."""

    def rewrite(self, fields: Fields) -> Fields:
        """Put null in place of the empty text."""
        return {**fields, "code": fields["code"] or None, "code_hash": None}


@breaks("test_large_record_comes_back")
class ShortLines(Rewriting):
    """Has room for 64 KiB of code."""

    def rewrite(self, fields: Fields) -> Fields:
        """Cut the rest off."""
        return {**fields, "code": fields["code"][: 1 << 16], "code_hash": None}


@breaks("test_unknown_fields_survive_a_copy")
class SortsKeys(Rewriting):
    """Sorts the fields by name."""

    def rewrite(self, fields: Fields) -> Fields:
        """Sort."""
        return dict(sorted(fields.items()))


def _hashable(metrics: Fields) -> Fields:
    return {key: str(value) if isinstance(value, list) else value for key, value in metrics.items()}
