"""The contract about values: whatever a Python loop can produce comes back (promise 8)."""

from __future__ import annotations

import datetime as dt
import decimal
import math
from typing import TYPE_CHECKING, Any

import iterlog
from iterlog.testing.contract.base import ContractBase
from iterlog.testing.samples import sample

if TYPE_CHECKING:
    from collections.abc import Callable


class Scalar:
    """A number as numpy and pandas wrap them: no Python number, but ``item()`` gives one."""

    def __init__(self, value: object) -> None:
        self._value = value

    def item(self) -> object:
        """Return the plain value."""
        return self._value


class Array:
    """Numbers as numpy and pandas hold them: ``tolist()`` gives the plain values."""

    def __init__(self, *values: object) -> None:
        self._values = values

    def tolist(self) -> list[object]:
        """Return the plain values."""
        return list(self._values)


class Values(ContractBase):
    """Tests that store a value and read it back with a new handle."""

    def test_every_field_comes_back(self, url: str) -> None:
        """A record with every field set is read back equal, field by field (promise 8)."""
        record = sample(
            12,
            used_fallback=True,
            success=False,
            error="ZeroDivisionError: division by zero",
            timestamp="2025-01-09T12:34:56.789012+00:00",
            id="00112233445566ff",
            run_id="run-7",
            parent_id="ffeeddccbbaa0099",
            status="crash",
            duration_s=1.5,
            tags=("momentum", "价值"),
            extra={"seed": 42},
        )
        back = _back(url, record)
        assert back == record
        assert back.to_dict() == record.to_dict()
        assert (back.timestamp, back.tags, back.code_hash) == (record.timestamp, record.tags, record.code_hash)

    def test_non_finite_metrics_come_back(self, url: str) -> None:
        """NaN and the infinities come back as floats, nested ones too (promise 8)."""
        metrics = {"nan": math.nan, "up": math.inf, "down": -math.inf, "folds": [1.0, math.nan, {"worst": -math.inf}]}
        back = _back(url, sample(0, metrics=metrics)).metrics
        assert is_nan(back["nan"])
        assert (back["up"], back["down"]) == (math.inf, -math.inf)
        assert is_nan(back["folds"][1])
        assert back["folds"][2] == {"worst": -math.inf}

    def test_numbers_of_other_libraries_are_recorded(self, url: str) -> None:
        """Scalars and arrays as numpy, pandas and torch have them are stored as plain numbers (promise 8)."""
        metrics = {"sharpe": Scalar(1.5), "n": Scalar(3), "ok": Scalar(True), "nan": Scalar(math.nan), "w": Array(1, 2)}
        back = _back(url, sample(0, metrics=metrics)).metrics
        assert (back["sharpe"], back["n"], back["ok"], back["w"]) == (1.5, 3, True, [1, 2])
        assert is_nan(back["nan"])

    def test_integers_of_any_size_come_back(self, url: str) -> None:
        """Integers beyond 64 bits come back exactly, and so does the highest iteration number (promise 8)."""
        metrics = {"word": 2**64 - 1, "signed": -(2**63), "big": 2**200 + 1, "negative": -(10**60)}
        assert _back(url, sample(2**63 - 1, metrics=metrics)).metrics == metrics

    def test_floats_come_back_to_the_last_bit(self, url: str) -> None:
        """Floats come back exactly, the smallest, the largest and negative zero included (promise 8)."""
        metrics = {"third": 1 / 3, "tiny": 5e-324, "huge": 1.7976931348623157e308, "zero": -0.0, "sum": 0.1 + 0.2}
        back = _back(url, sample(0, metrics=metrics)).metrics
        assert back == metrics
        assert math.copysign(1.0, back["zero"]) == -1.0

    def test_any_text_comes_back(self, url: str) -> None:
        """Lone surrogates, control characters, NULs and every kind of line end come back as they were (promise 8)."""
        code = "a = '\ud800'\r\nb = '\udfff'\rc = '\0\x1b[31m\x7f'\nd = '\u2028\u2029\x85\x0b\ufeff'\n🙂\\u0000\"\n\n"
        fields: dict[str, Any] = {"feedback": "\udcff\n", "error": "\x00", "metrics": {"clé \ud83d": "\udc00"}}
        record = sample(0, code=code, **fields)
        back = _back(url, record)
        assert (back.code, back.feedback, back.error, back.metrics) == (code, *fields.values())
        assert back.code_hash == record.code_hash

    def test_moments_and_decimals_are_recorded(self, url: str) -> None:
        """Datetimes, dates, time spans and Decimals are stored in a form that keeps their value (promise 8)."""
        moment = dt.datetime(2025, 1, 9, 12, 34, 56, 789012, tzinfo=dt.UTC)
        metrics = {
            "at": moment,
            "day": moment.date(),
            "took": dt.timedelta(minutes=1.5),
            "exact": decimal.Decimal("1.10"),
            "long": decimal.Decimal("0.1234567890123456789012345"),
            "none": decimal.Decimal("NaN"),
        }
        back = _back(url, sample(0, metrics=metrics, timestamp=moment))
        assert back.timestamp == moment
        assert dt.datetime.fromisoformat(back.metrics["at"]) == moment
        assert (back.metrics["day"], back.metrics["took"], back.metrics["exact"]) == ("2025-01-09", 90.0, 1.1)
        assert decimal.Decimal(back.metrics["long"]) == metrics["long"]
        assert is_nan(back.metrics["none"])

    def test_code_may_be_missing_or_empty(self, url: str) -> None:
        """No code and empty code are two things, and both come back (promise 8)."""
        with iterlog.open_history(url) as history:
            history.extend([sample(0, code=None), sample(1, code="")])
        with iterlog.open_history(url) as history:
            codes = [(record.code, record.code_hash is None) for record in history]
        assert codes == [(None, True), ("", False)]

    def test_large_record_comes_back(self, url: str) -> None:
        """A record of several megabytes comes back, and so do its small neighbours."""
        code = "x = '🙂 0123456789abcdef'\n" * 100_000
        with iterlog.open_history(url) as history:
            history.extend([sample(0), sample(1, code=code), sample(2)])
        with iterlog.open_history(url) as history:
            assert [record.iteration for record in reversed(history)] == [2, 1, 0]
            record = history.get(1)
            assert record is not None
            assert record.code == code

    def test_unknown_fields_survive_a_copy(self, url: str, make_url: Callable[[], str]) -> None:
        """Fields of the user's own come back in order, also through a copy elsewhere (promise 8)."""
        own: dict[str, Any] = {"zeta": [1, 2.5, None], "alpha": {"π": True, "deep": {"n": 2**70}}, "note": "é\ud800"}
        record = sample(0, extra=own)
        other = make_url()
        with iterlog.open_history(url) as history:
            history.append({**record.to_dict()})
        with iterlog.open_history(url) as history, iterlog.open_history(other) as copy:
            copy.extend(history)
        with iterlog.open_history(other) as copy:
            back = copy.last()
        assert back is not None
        assert back == record
        assert list(back.extra.items()) == list(own.items())


def is_nan(value: object) -> bool:
    """Whether a value is a float and no number."""
    return isinstance(value, float) and math.isnan(value)


def _back(url: str, record: iterlog.IterationRecord) -> iterlog.IterationRecord:
    """Store a record, and return it as a new handle reads it."""
    with iterlog.open_history(url) as history:
        history.append(record)
    with iterlog.open_history(url) as history:
        back = history.last()
    assert back is not None
    return back
