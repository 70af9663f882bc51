"""The six numbers, against examples worked out by hand."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from iterlog.demo.measures import measure


def test_one_long_trade_without_costs() -> None:
    """A position held throughout earns what the price does: +10 %, then -10 %, then nothing."""
    found = measure([100.0, 110.0, 99.0, 99.0], [1.0, 1.0, 1.0], cost=0.0)
    mean = 0.0
    deviation = math.sqrt((0.1**2 + 0.1**2) / 2)
    assert found == {
        "sharpe_ratio": pytest.approx(mean / deviation * math.sqrt(252)),
        "total_return": pytest.approx(-0.01),
        "max_drawdown": pytest.approx(-0.1),
        "win_rate": 0.0,
        "total_trades": 1,
        "avg_holding_period": 3.0,
    }


def test_sharpe_is_mean_over_sample_deviation_times_root_252() -> None:
    """Returns of 2 % and 1 %: mean 1.5 %, sample deviation √0.00005."""
    found = measure([100.0, 102.0, 103.02], [1.0, 1.0], cost=0.0)
    assert found["sharpe_ratio"] == pytest.approx(0.015 / math.sqrt(0.00005) * math.sqrt(252))


def test_a_short_position_gains_when_the_price_falls() -> None:
    """Half the capital sold short gains half of a fall of 10 %, and loses half of a rise of 10 %."""
    found = measure([100.0, 90.0, 99.0], [-0.5, -0.5], cost=0.0)
    assert found["total_return"] == pytest.approx(1.05 * 0.95 - 1)


def test_a_position_earns_the_next_return_and_not_the_last() -> None:
    """Deciding at the close after the jump earns nothing of it; there is no look-ahead."""
    assert measure([100.0, 150.0, 150.0], [0.0, 1.0], cost=0.0)["total_return"] == pytest.approx(0.0)
    assert measure([100.0, 150.0, 150.0], [1.0, 0.0], cost=0.0)["total_return"] == pytest.approx(0.5)


def test_costs_are_paid_on_entry_on_resizing_and_on_exit() -> None:
    """1 % on half the capital to enter, on a quarter to reduce, on the last quarter to leave at the end."""
    found = measure([100.0, 100.0, 100.0], [0.5, 0.25], cost=0.01)
    assert found["total_return"] == pytest.approx(0.995 * 0.9975 * 0.9975 - 1)
    assert found["total_trades"] == 1
    assert found["win_rate"] == 0.0


def test_turning_round_ends_one_trade_and_begins_another() -> None:
    """Long for two days, short for one, flat, long for one: three trades, of which the first and the last gain."""
    closes = [100.0, 110.0, 121.0, 130.0, 130.0, 143.0]
    found = measure(closes, [1.0, 1.0, -1.0, 0.0, 1.0], cost=0.001)
    first = 0.999 * 1.1 * 1.1 * 0.999
    second = 0.999 * (1 - 9 / 121) * 0.999
    third = 0.999 * 1.1 * 0.999
    assert found["total_trades"] == 3
    assert found["win_rate"] == pytest.approx(2 / 3)
    assert found["avg_holding_period"] == pytest.approx(4 / 3)
    assert found["total_return"] == pytest.approx(first * second * third - 1)


def test_a_gain_smaller_than_its_costs_is_no_win() -> None:
    """A trade is judged net."""
    assert measure([100.0, 100.05], [1.0], cost=0.0)["win_rate"] == 1.0
    assert measure([100.0, 100.05], [1.0], cost=0.0005)["win_rate"] == 0.0


def test_drawdown_counts_from_the_start_and_from_later_peaks() -> None:
    """A loss at once is a drawdown from the start; a deeper one from a later peak replaces it."""
    assert measure([100.0, 95.0], [1.0], cost=0.0)["max_drawdown"] == pytest.approx(-0.05)
    assert measure([100.0, 95.0, 120.0, 90.0, 119.0], [1.0] * 4, cost=0.0)["max_drawdown"] == pytest.approx(-0.25)


def test_never_trading_measures_nought() -> None:
    """Without a position every number is 0, and nothing divides by it."""
    assert set(measure([100.0, 101.0, 99.0], [0.0, 0.0]).values()) == {0.0}


def test_constant_returns_have_no_sharpe_ratio() -> None:
    """Returns that do not vary give 0 and not infinity."""
    assert measure([100.0, 110.0, 121.0, 133.1], [1.0, 1.0, 1.0], cost=0.0)["sharpe_ratio"] == 0.0


def test_a_short_position_can_lose_everything_and_no_more() -> None:
    """A price that triples ends the capital at nothing, and it stays there."""
    found = measure([100.0, 300.0, 100.0], [-1.0, -1.0], cost=0.0)
    assert found["total_return"] == -1.0
    assert found["max_drawdown"] == -1.0


@pytest.mark.parametrize("positions", [[], [1.0], [1.0, 1.0, 1.0]])
def test_as_many_positions_as_returns(positions: list[float]) -> None:
    """Positions that do not fit the closes are refused."""
    with pytest.raises(ValueError, match="zip"):
        measure([100.0, 101.0, 102.0], positions)


@given(
    st.lists(st.tuples(st.floats(-0.05, 0.05), st.sampled_from([-1.0, -0.5, 0.0, 0.25, 1.0])), min_size=1, max_size=40),
    st.sampled_from([0.0, 0.0005, 0.01]),
)
def test_against_a_ledger_kept_in_cash_and_shares(days: list[tuple[float, float]], cost: float) -> None:
    """Total return, drawdown and trades agree with a naive ledger that knows nothing of factors per trade."""
    closes, capital, held, curve, sides = [100.0], 1.0, 0.0, [1.0], []
    for move, position in days:
        turns = held * position < 0
        steps = [0.0, position] if turns else [position]
        for target in steps:
            capital -= capital * cost * abs(target - held)
            held = target
        shares = capital * held / closes[-1]
        closes.append(closes[-1] * (1 + move))
        capital += shares * (closes[-1] - closes[-2])
        curve.append(capital)
        sides.append((held > 0) - (held < 0))
    curve[-1] -= curve[-1] * cost * abs(held)
    found = measure(closes, [position for _, position in days], cost=cost)
    assert found["total_return"] == pytest.approx(curve[-1] - 1, abs=1e-9)
    assert found["max_drawdown"] == pytest.approx(
        min(now / max(curve[: i + 1]) - 1 for i, now in enumerate(curve)), abs=1e-9
    )
    begun = [side for before, side in zip([0, *sides], sides, strict=False) if side and side != before]
    assert found["total_trades"] == len(begun)
    assert found["avg_holding_period"] * len(begun) == pytest.approx(sum(map(abs, sides)))
