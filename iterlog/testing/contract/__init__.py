"""The contract, put together of its parts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test

from iterlog.testing.contract.appending import Appending
from iterlog.testing.contract.damage import Damage
from iterlog.testing.contract.loops import Loops
from iterlog.testing.contract.opening import Opening
from iterlog.testing.contract.reading import Reading
from iterlog.testing.contract.sharing import Sharing
from iterlog.testing.contract.values import Values
from iterlog.testing.deviations import deviations_of
from iterlog.testing.machine import history_state_machine

if TYPE_CHECKING:
    from collections.abc import Callable

    from iterlog.testing.contract.base import Corrupt, Tear

__all__ = ["HistoryStoreContract"]


class HistoryStoreContract(Opening, Appending, Values, Reading, Loops, Damage, Sharing):
    """What every history keeps; subclass it in a test module as ``TestSomething`` and give the fixture ``url``.

    Fixtures, to be defined in the subclass:

    - ``url`` (required): the URL of a history that does not exist yet, another one for each test.
    - ``make_url``: a function that returns the URL of one more such history at each call. The default adds ``-1``,
      ``-2`` … to the path of ``url``, before the query.
    - ``tear``: a function ``tear(url)`` that leaves the beginning of an append at the end of the history, as a writer
      that was killed does; the history may not exist yet. It reaches the bytes without the store. Not given, tests of
      torn ends are skipped.
    - ``corrupt``: a function ``corrupt(url, index)`` that changes a byte within the stored line number ``index``,
      counted from 0, without the store. Not given, tests of damaged lines are skipped.

    A store that can be torn or damaged gives the back doors: without them nobody knows what a crash costs.

    A test of the contract that is replaced without ``@deviates("reason")`` is refused when the class is made.

    Attributes:
        shared_between_processes: False says that the store lives in one process, and skips the tests with several.
        import_in_processes: A module that other processes import before they open ``url``: for a backend that is
            registered by a call of ``register_backend`` in it. One with an entry point needs none.
        machine_examples: How many examples the state machine tries; always the same ones.
    """

    def __init_subclass__(cls, **keywords: Any) -> None:
        super().__init_subclass__(**keywords)
        deviations_of(HistoryStoreContract, cls)

    @classmethod
    def deviations(cls) -> dict[str, str]:
        """Return the names of the tests that this class replaces, each with its reason."""
        return deviations_of(HistoryStoreContract, cls)

    def test_any_sequence_of_calls_matches_a_list(
        self, make_url: Callable[[], str], tear: Tear, corrupt: Corrupt
    ) -> None:
        """Calls in any order, through two handles, with crashes between, leave what a plain list would hold."""
        run_state_machine_as_test(
            history_state_machine(make_url, tear=tear, corrupt=corrupt),
            settings=settings(
                max_examples=self.machine_examples,
                stateful_step_count=30,
                deadline=None,
                derandomize=True,
                database=None,
                phases=[Phase.generate],  # shrinking a failure takes minutes
                suppress_health_check=list(HealthCheck),
            ),
        )
