"""What is done beside changes nothing but the time it takes."""

from __future__ import annotations

import errno
import threading
from typing import TYPE_CHECKING

import pytest
from segment_files import CODECS, loop_of, plain_lines, segment

from iterlog import ConflictError
from iterlog.segments import beside
from iterlog.segments.beside import WORTH_A_THREAD, Beside
from iterlog.segments.sealing import seal, seal_bytes, verify_sealed
from iterlog.segments.source import BytesSource

if TYPE_CHECKING:
    from collections.abc import Iterator

    from iterlog.segments.packing import Codec

LONG = loop_of(1000)
CHUNKS = [LONG[start : start + (1 << 16)] for start in range(0, len(LONG), 1 << 16)]
SIZES = pytest.mark.parametrize("size", [0, WORTH_A_THREAD], ids=["here", "in a thread"])


@pytest.fixture(autouse=True)
def _no_thread_stays() -> Iterator[None]:
    """Every thread has ended with the work it was started for."""
    before = threading.active_count()
    yield
    assert threading.active_count() == before


@SIZES
def test_pieces_are_worked_on_in_order(size: int) -> None:
    """All pieces have been worked on, in order, when the block ends; in a thread only where it is worth one."""
    found: list[tuple[bytes, bool]] = []
    here = threading.get_ident()
    with Beside(lambda piece: found.append((piece, threading.get_ident() == here)), size) as work:
        for number in range(50):
            work(b"%d" % number)
    assert found == [(b"%d" % number, size == 0) for number in range(50)]


def test_few_pieces_wait() -> None:
    """Who hands pieces over is held up by work that is slower, so that memory stays bounded."""
    gate, taken = threading.Semaphore(0), 0
    with Beside(lambda _piece: gate.acquire(timeout=10), WORTH_A_THREAD) as work:

        def hand_over() -> None:
            nonlocal taken
            for _ in range(20):
                work(b"piece")
                taken += 1

        giver = threading.Thread(target=hand_over)
        giver.start()
        giver.join(0.3)
        taken_before = taken
        gate.release(20)
        giver.join()
        assert taken_before <= beside._MOST_WAITING + 1
    assert taken == 20


@SIZES
def test_a_failure_is_raised_and_nothing_is_done_after_it(size: int) -> None:
    """Whatever the work raises comes out, at the latest at the end, and no later piece is touched."""
    worked: list[bytes] = []

    def fail_at_three(piece: bytes) -> None:
        worked.append(piece)
        if piece == b"3":
            raise OSError(errno.ENOSPC, "full")

    def hand_over() -> None:
        with Beside(fail_at_three, size) as work:
            for number in range(10):
                work(b"%d" % number)

    with pytest.raises(OSError, match="full"):
        hand_over()
    assert worked == [b"0", b"1", b"2", b"3"]


@SIZES
def test_a_failure_at_the_end_is_raised(size: int) -> None:
    """The last piece's failure comes out although nothing is handed over after it."""

    def fail(_piece: bytes) -> None:
        raise OSError(errno.ENOSPC, "full")

    def hand_over() -> None:
        with Beside(fail, size) as work:
            work(b"the last one")

    with pytest.raises(OSError, match="full"):
        hand_over()


@SIZES
def test_a_failure_of_the_block_is_not_hidden(size: int) -> None:
    """What goes wrong first is told, and the thread ends all the same."""

    def fail(_piece: bytes) -> None:
        raise OSError(errno.ENOSPC, "full")

    def hand_over() -> None:
        with Beside(fail, size) as work:
            if size:
                work(b"piece")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        hand_over()


def test_without_threads_the_work_is_done_here(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where no thread can be started, at the interpreter's end say, sealing goes on without."""

    def refuse(_thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    expected = seal_bytes(LONG)
    monkeypatch.setattr(threading.Thread, "start", refuse)
    assert seal_bytes(LONG) == expected
    verify_sealed(BytesSource(expected[0]), expected[1].plain_sha256, len(LONG))


@pytest.mark.parametrize("codec", CODECS)
def test_a_long_segment_is_the_same_either_way(codec: Codec, monkeypatch: pytest.MonkeyPatch) -> None:
    """The sealed bytes do not depend on who compressed them."""
    sealed: list[bytes] = []
    footer = seal(CHUNKS, len(LONG), sealed.append, codec=codec)
    assert [line for _, line in segment(b"".join(sealed)).lines()] == plain_lines(LONG)
    monkeypatch.setattr(beside, "WORTH_A_THREAD", len(LONG) + 1)
    alone: list[bytes] = []
    assert seal(CHUNKS, len(LONG), alone.append, codec=codec) == footer
    assert b"".join(alone) == b"".join(sealed)


def test_a_disk_that_is_full_is_told() -> None:
    """What refuses the sealed bytes of a long segment stops its sealing."""

    def refuse(_data: bytes) -> None:
        raise OSError(errno.ENOSPC, "full")

    with pytest.raises(OSError, match="full"):
        seal(CHUNKS, len(LONG), refuse)


@pytest.mark.parametrize("change", [-1, 1])
def test_a_long_file_that_changes_is_not_sealed(change: int) -> None:
    """More or fewer bytes than there should be are noticed, also when another thread compresses them."""
    with pytest.raises(ConflictError):
        seal(CHUNKS, len(LONG) + change, lambda _data: None)
