"""The next iteration number where the end of a history is damaged: never one that was handed out."""

from __future__ import annotations

import pytest
from back_doors import changed
from scripted_store import ScriptedStore

from iterlog import IterationRecord
from iterlog.lines import encode_body, finish_lines
from iterlog.remote.commits import append_body, parse_commit
from iterlog.remote.layout import commit_key
from iterlog.remote.tail import Tail, find_tail


def lines(*numbers: int) -> list[bytes]:
    """Make the lines of one append."""
    return finish_lines([(number, encode_body(IterationRecord(number, None, {}, ""))) for number in numbers])


def damaged(body: bytes, *which: int) -> bytes:
    """Change a byte in the middle of some lines."""
    split = body.splitlines()
    for i in which:
        split[i] = changed(split[i])
    return b"".join(line + b"\n" for line in split)


def bodies(*appends: list[bytes]) -> list[bytes]:
    """Make the commits of appends behind each other."""
    made, number = [], 0
    for each in appends:
        body, number = append_body(each, number)
        made.append(body)
    return made


CASES = {
    "three records, the last of them damaged": ([lines(0), lines(1, 2, 3)], (2,)),
    "three records, the first of them damaged": ([lines(0), lines(1, 2, 3)], (0,)),
    "three records, all damaged": ([lines(0), lines(1, 2, 3)], (0, 1, 2)),
    "a low number, and the control line that says so is damaged": ([lines(100), lines(5)], (0,)),
    "a low number, and all of it is damaged": ([lines(100), lines(5)], (0, 1)),
    "a high number hidden, and the control line damaged": ([lines(0), lines(500, 5)], (0,)),
    "a high number hidden, and the control line and the last damaged": ([lines(0), lines(500, 5)], (0, 2)),
    "the first commit of all": ([lines(0, 1)], (0, 1)),
}


@pytest.mark.parametrize(("appends", "which"), CASES.values(), ids=CASES)
def test_no_number_is_handed_out_twice(appends: list[list[bytes]], which: tuple[int, ...]) -> None:
    """Whoever opens the history, and whoever watched the commit come, goes on above all numbers that were used."""
    commits = bodies(*appends)
    used = max(int(line[13:].partition(b",")[0]) for append in appends for line in append)
    commits[-1] = damaged(commits[-1], *which)
    store = ScriptedStore(objects={commit_key(i): body for i, body in enumerate(commits)})
    assert find_tail(store).next_number > used
    tail = Tail(-1, 0, -1, 0.0)
    for i, body in enumerate(commits):
        tail = tail.behind(parse_commit(i, body), 0.0)
    assert tail.next_number > used


def test_commits_missing_before_a_damaged_end_do_not_stop_a_writer() -> None:
    """A hole is damage that readers report; the end is found all the same."""
    first, _, third = bodies(lines(0), lines(1), lines(2))
    store = ScriptedStore(objects={commit_key(0): first, commit_key(2): damaged(third, 0)})
    tail = find_tail(store)
    assert (tail.number, tail.next_number) == (2, 3)


def test_the_number_of_a_sound_end_is_read_from_one_commit() -> None:
    """However long the history is, and whatever control lines stand in it."""
    commits = bodies(lines(0), lines(100), lines(5))
    store = ScriptedStore(objects={commit_key(i): body for i, body in enumerate(commits)})
    assert find_tail(store).next_number == 101
    assert store.requests == 3
