"""The bytes of commits: whatever lines they are made of, alone or in a segment, the same commits come out."""

from __future__ import annotations

from itertools import chain

import pytest
from hypothesis import given
from hypothesis import strategies as st

from iterlog import IterationRecord
from iterlog.lines import encode_body, finish_lines, with_checksum
from iterlog.remote import commits
from iterlog.remote.commits import append_body, commits_of, fence_body, is_divisible, parse_commit

NUMBERS = st.integers(0, 10**9)
TEXTS = st.text(max_size=8) | st.sampled_from(['","_more":7,"crc":"', '{"_iterlog":"fence"', '"id":"'])
OWN = st.lists(st.tuples(NUMBERS, TEXTS), min_size=1, max_size=4).map(
    lambda each: finish_lines(
        [(number, encode_body(IterationRecord(number, text, {"id": text}, text))) for number, text in each]
    )
)
FOREIGN = st.sampled_from(
    [
        b'{"iteration": 3, "note": "of another program", "metrics": {}}',
        b'{"iteration":4,"metrics":{},"crc":"00000000"}',
        b'{"iteration":5,"metrics":{"id":"x"}}',
        b'{"_iterlog":"fence","iteration":6,"epoch":9,"next":7,"last":1,"by":"nobody"}',
        with_checksum(b'{"_iterlog":"fence","iteration":6,"epoch":9,"next":7,"last":1'),
        with_checksum(b'{"_iterlog":"append","iteration":6,"next":7,"_more":1'),
        with_checksum(b'{"iteration":8,"metrics":{},"_more":3'),
        b"\x00\x00\x00",
        b'{"iteration":9,"torn',
        b"[]",
    ]
).map(lambda line: [line])
APPENDS = st.lists(
    OWN | FOREIGN | st.lists(OWN | FOREIGN, min_size=2, max_size=3).map(lambda many: list(chain(*many))), max_size=8
)


def bodies_of(appends: list[list[bytes]]) -> list[bytes]:
    """Make a commit of each append, with a fence before every third."""
    made: list[bytes] = []
    number = 0
    for i, lines in enumerate(appends):
        if i % 3 == 0:
            made.append(fence_body(len(made), number, len(made) - 1))
        body, number = append_body(lines, number)
        made.append(body)
    return made


def check(appends: list[list[bytes]]) -> None:
    """Check that commits keep their lines, in the log and in a segment."""
    bodies = bodies_of(appends)
    alone = [parse_commit(i, body) for i, body in enumerate(bodies)]
    assert [commit.lines for commit in alone if commit.fence is None] == [tuple(lines) for lines in appends]
    assert sum(commit.fence is not None for commit in alone) == len(bodies) - len(appends)
    assert all(map(is_divisible, bodies))
    assert list(commits_of(b"".join(bodies).splitlines(), 0)) == alone


@given(APPENDS)
def test_commits_come_back_as_they_were_made(appends: list[list[bytes]]) -> None:
    """Own lines, foreign ones, damaged ones, and ones that look like control lines, in any order."""
    check(appends)


@given(APPENDS)
def test_no_number_is_used_again(appends: list[list[bytes]]) -> None:
    """The newest commit tells a number above all that were used, and never a lower one than before."""
    used = 0
    for i, body in enumerate(bodies_of(appends)):
        commit = parse_commit(i, body)
        following = commit.next_iteration()
        if following is None:
            continue  # damaged: the commit before it tells
        assert following >= max(used, commit.above())
        used = max(used, following)


def test_a_commit_that_does_not_say_how_long_it_is_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a control line, several appends in one commit would be several commits in a segment."""
    monkeypatch.setattr(commits, "_shows_length", lambda _lines: True)
    line = finish_lines([(0, encode_body(IterationRecord(0, None, {}, "")))])
    with pytest.raises(AssertionError):
        check([line + line])


def test_a_line_of_others_is_no_control_line() -> None:
    """A record that another program wrote with our name in it takes nobody's history over and hides nothing."""
    for line in (
        with_checksum(b'{"_iterlog":"fence","iteration":6,"epoch":9,"next":7,"last":1'),
        with_checksum(b'{"_iterlog":"append","iteration":6,"next":7,"_more":1'),
        b'{"_iterlog":"fence","iteration":6}',
    ):
        commit = parse_commit(0, append_body([line], 0)[0])
        assert (commit.fence, commit.lines) == (None, (line,))


@pytest.mark.parametrize("kind", [b"append", b"fence"])
@pytest.mark.parametrize(
    "said",
    [
        b'"next":' + b"9" * 5000,
        b'"next":%d' % (2**63 + 1),
        b'"next":-1',
        b'"next":4,"_more":' + b"9" * 5000,
        b'"next":' + b"[" * 100_000 + b"]" * 100_000,
        b'"next":"4"',
        b'"next":}',
        b'"next":4 \xff',
    ],
    ids=lambda said: said[:20].decode(errors="replace"),
)
def test_a_control_line_that_lies_is_damage(kind: bytes, said: bytes) -> None:
    """Its checksum fits, and it says what no number can be: it ends no reader, and no number comes of it."""
    body = with_checksum(b'{"_iterlog":"' + kind + b'",' + said) + b"\n"
    for commit in (parse_commit(7, body), *commits_of([body[:-1]], 7)):
        assert commit.next_iteration() is None
        assert (commit.fence is not None) == (kind == b"fence")
        assert commit.above() == 0


def test_a_fence_never_points_ahead() -> None:
    """The newest commit with records stands before it; who made it is shown without control characters, and short."""
    by = r"\u001b[2J" + "x" * 10_000
    fence = parse_commit(
        7, with_checksum(b'{"_iterlog":"fence","next":3,"last":7,"by":"%b"' % by.encode()) + b"\n"
    ).fence
    assert fence is not None
    assert (fence.last, fence.next_number) == (-1, 3)
    assert fence.by.isprintable()
    assert len(fence.by) < 1000
