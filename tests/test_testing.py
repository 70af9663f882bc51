"""The contract tested: each of its tests notices the store that breaks it, and none may be replaced in silence."""

from __future__ import annotations

import ast
import importlib.metadata
import inspect
import itertools
import re
import subprocess
import sys
import textwrap
import uuid
from pathlib import Path
from typing import Any

import pytest
from back_doors import corrupt_file, corrupt_memory, tear_file, tear_memory
from broken_stores import BROKEN, Broken
from own_backends import OwnBackendContract

import iterlog.testing
from iterlog.testing import HistoryStoreContract, deviates

CONTRACT_TESTS = sorted(name for name in dir(HistoryStoreContract) if name.startswith("test_"))
FAILURES = (AssertionError, iterlog.IterlogError, pytest.fail.Exception, StopIteration)
"""What a test of the contract may end with on a broken store; anything else is a mistake of the store's own."""


class Direct(HistoryStoreContract):
    """The contract, for calling its tests without collecting them."""

    import_in_processes = "broken_stores"


def call(test: str, url: str, *, in_file: bool) -> None:
    """Call a test of the contract with what its fixtures would give."""
    count = itertools.count(1)
    fixtures: dict[str, Any] = {
        "url": url,
        "make_url": lambda: f"{url}-{next(count)}",
        "tear": tear_file if in_file else tear_memory,
        "corrupt": corrupt_file if in_file else corrupt_memory,
    }
    method = getattr(Direct(), test)
    method(**{name: fixtures[name] for name in inspect.signature(method).parameters})


def url_of(scheme: str, tmp_path: Path, *, in_file: bool) -> str:
    """Return a URL of a new history."""
    name = uuid.uuid4().hex
    return f"{scheme}://{tmp_path}/{name}" if in_file else f"{scheme}://{name}"


def test_every_test_of_the_contract_has_its_broken_store() -> None:
    """A test that nobody saw failing may be one that cannot fail."""
    assert sorted({broken.test for broken in BROKEN}) == CONTRACT_TESTS
    assert len({broken.backend for broken in BROKEN}) == len(BROKEN)


@pytest.mark.parametrize("broken", BROKEN, ids=lambda broken: f"{broken.test}-{broken.backend.__name__}")
def test_broken_store_is_caught(broken: Broken, tmp_path: Path) -> None:
    """The test passes on a sound store and fails on the one that breaks what it is about."""
    in_file = broken.in_file or broken.between_processes
    call(broken.test, url_of("jsonl" if in_file else "memory", tmp_path, in_file=in_file), in_file=in_file)
    with pytest.raises(FAILURES):
        call(broken.test, url_of(broken.scheme, tmp_path, in_file=broken.in_file), in_file=broken.in_file)


def promises_of(text: str) -> list[int]:
    """Return the numbers that lines of a text begin with."""
    return [int(number) for number in re.findall(r"^ *(\d+)\. ", text, re.MULTILINE)]


def test_every_promise_has_a_test_that_names_it() -> None:
    """Each promise of the README and of HistoryStore is named by a contract test, and every test says what it holds."""
    readme = (Path(__file__).parents[1] / "README.md").read_text().partition("## Promises")[2].partition("\n## ")[0]
    promised = promises_of(readme)
    assert promised == promises_of(iterlog.HistoryStore.__doc__ or "") == list(range(1, 11))
    docstrings = [inspect.getdoc(getattr(HistoryStoreContract, test)) or "" for test in CONTRACT_TESTS]
    assert all(docstrings)
    named = " ".join(text.partition("(promise")[2] for text in docstrings)
    assert {int(word) for word in named.replace(")", " ").split() if word.isdigit()} == set(promised)


def test_replaced_test_is_refused() -> None:
    """A subclass that replaces a test of the contract, or sets it to None, is refused when it is made."""
    for replacement in (lambda _self: None, None):
        with pytest.raises(TypeError, match="test_last_is_the_newest_record"):
            type("Lenient", (HistoryStoreContract,), {"test_last_is_the_newest_record": replacement})


def test_test_replaced_by_a_mixin_is_refused() -> None:
    """A class beside the contract that hides one of its tests is refused like a replacement."""
    mixin = type("Mixin", (), {"test_len_counts_the_records": lambda _self: None})
    with pytest.raises(TypeError, match="test_len_counts_the_records"):
        type("Lenient", (mixin, HistoryStoreContract), {})


def test_deviation_is_accepted_and_listed_with_its_reason() -> None:
    """A replacement with a reason is accepted, also in subclasses, and the class lists it."""

    class Deviating(HistoryStoreContract):
        @deviates("the store has no end")
        def test_last_is_the_newest_record(self, url: str) -> None:
            """Ask for less."""

    further = type("Further", (Deviating,), {})
    assert Deviating.deviations() == {"test_last_is_the_newest_record": "the store has no end"}
    assert issubclass(further, HistoryStoreContract)
    assert HistoryStoreContract.deviations() == {}


def test_deviation_without_a_reason_is_refused() -> None:
    """A reason has to be given, and as a text."""
    for nothing in ("", "  ", len):
        with pytest.raises(TypeError):
            deviates(nothing)  # type: ignore[arg-type] # the mistake is to forget the call


def test_further_tests_are_welcome() -> None:
    """A subclass may add tests and fixtures under names of its own."""
    further = type("Further", (HistoryStoreContract,), {"test_something_else": lambda _self: None})
    assert further.deviations() == {}  # type: ignore[attr-defined] # made by type()


@pytest.fixture
def run_pytest(tmp_path: Path) -> Any:
    """A function that runs a test module in a process of its own and returns what pytest printed."""

    def run(source: str, *arguments: str) -> str:
        module = tmp_path / "test_outside.py"
        module.write_text(textwrap.dedent(source))
        command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *arguments, str(module)]
        return subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path).stdout

    return run


def test_forgotten_fixture_is_an_error_and_assertions_show_both_sides(run_pytest: Any) -> None:
    """Outside of this project a missing url is an error with advice, and a failing test shows what was compared."""
    printed = run_pytest(
        """
        import pytest
        import iterlog
        from iterlog.backends.memory import MemoryHistory
        from iterlog.testing import HistoryStoreContract

        class LosesTheFirst(MemoryHistory):
            def _scan(self, start):
                return (pair for pair in super()._scan(start) if pair[0][0] != 1)

        iterlog.register_backend("loses", LosesTheFirst)

        class TestWithoutUrl(HistoryStoreContract):
            pass

        class TestLosing(HistoryStoreContract):
            @pytest.fixture
            def url(self):
                return "loses://everything"
        """,
        "-k",
        "test_reopened_history_goes_on or test_verify_tells_of_a_torn_end",
    )
    assert "NotImplementedError: give TestWithoutUrl a fixture 'url'" in printed
    assert "At index 0 diff: 1 != 0" in printed
    assert "1 failed, 1 skipped" in printed
    assert "2 errors" in printed


def test_own_backends_must_open_the_back_doors() -> None:
    """A backend of this package does not get past the tests of damage by giving no way to plant it."""
    for door in ("tear", "corrupt"):
        assert getattr(OwnBackendContract, door) is not getattr(HistoryStoreContract, door)


@pytest.mark.parametrize("missing", ["pytest", "hypothesis"])
def test_missing_package_is_named(missing: str) -> None:
    """Where the test tools are not installed, importing the contract says what to install."""
    script = f"""
        import sys
        sys.modules[{missing!r}] = None
        import iterlog
        try:
            import iterlog.testing
        except iterlog.MissingDependencyError as error:
            print(error)
        """
    command = [sys.executable, "-c", textwrap.dedent(script)]
    printed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert f"needs {missing}" in printed
    assert "pip install" in printed


def test_package_works_without_the_test_tools() -> None:
    """Nothing outside of iterlog.testing needs pytest or hypothesis."""
    script = """
        import sys
        sys.modules["pytest"] = sys.modules["hypothesis"] = None
        import iterlog
        with iterlog.open_history("memory://plain") as history:
            print(history.save(code=None, metrics={}, feedback="").iteration)
        """
    command = [sys.executable, "-c", textwrap.dedent(script)]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout == "0\n"


def test_contract_uses_the_public_interface_alone() -> None:
    """The contract imports from iterlog what everybody may, so that it tests what everybody gets."""
    package = Path(iterlog.testing.__file__).parent
    modules = list(package.rglob("*.py"))
    assert len(modules) > 10
    for module in modules:
        for node in ast.walk(ast.parse(module.read_text())):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("iterlog."):
                assert (node.module or "").startswith("iterlog.testing"), f"{module} imports {node.module}"


def test_contract_is_no_pytest_plugin() -> None:
    """Installing iterlog changes no test run: nothing of it is loaded by pytest itself."""
    names = [point.value for point in importlib.metadata.entry_points(group="pytest11")]
    assert not any("iterlog" in name for name in names)
