"""The published contract: what every history keeps, as tests that any backend can be held to.

Who writes a backend subclasses `HistoryStoreContract` in a test module and says where a history may stand::

    import pytest
    from iterlog.testing import HistoryStoreContract

    class TestFolderHistory(HistoryStoreContract):
        @pytest.fixture
        def url(self, tmp_path):
            return f"folder://{tmp_path}/history"

Every test then goes the whole way, from ``iterlog.open_history(url)`` to the bytes, through the public interface alone.
`HistoryStoreContract` says which fixtures and attributes it takes besides. A test that a backend has to see
differently is replaced with `deviates` and a reason; replaced silently, it is refused. `history_state_machine` is the
Hypothesis state machine of the contract on its own, to be run longer than the contract does.

This is no pytest plugin: nothing happens in a test run that does not import it.
"""

from __future__ import annotations

from iterlog import MissingDependencyError

try:
    import hypothesis as _hypothesis  # noqa: F401 - imported here for one message about both
    import pytest
except ImportError as error:
    raise MissingDependencyError(f"iterlog.testing needs {error.name}; run: pip install pytest hypothesis") from error

# Before the import: only then do the assertions of the contract show both sides to who runs it.
pytest.register_assert_rewrite("iterlog.testing.contract", "iterlog.testing.machine", "iterlog.testing.samples")

from iterlog.testing.contract import HistoryStoreContract  # noqa: E402 - as above
from iterlog.testing.deviations import deviates  # noqa: E402
from iterlog.testing.machine import history_state_machine  # noqa: E402

__all__ = ["HistoryStoreContract", "deviates", "history_state_machine"]
