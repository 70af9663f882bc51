"""Full buckets become segments, and what stands in segments leaves the log: nobody reads anything else than before."""

from __future__ import annotations

import datetime as dt
import itertools
import logging
import threading
from typing import TYPE_CHECKING

import pytest
from back_doors import changed
from small_buckets import BUCKET, Objects, append_all_kinds, append_singles, everything, opened, url

from iterlog import CorruptionError, IterlogError, UnavailableError
from iterlog.remote import reading, sealing
from iterlog.remote.client import RefusedError
from iterlog.remote.commits import is_divisible
from iterlog.remote.filesystem import FilesystemClient
from iterlog.remote.layout import commit_key, segment_key
from iterlog.remote.sealing import Sealer
from iterlog.reports import FaultKind
from iterlog.segments.segment import SealedSegment
from iterlog.segments.source import BytesSource

if TYPE_CHECKING:
    from collections.abc import Callable

    from iterlog.backends.remote import RemoteHistory

__all__ = ["url"]  # a fixture


def seal_and_collect(url: str) -> list[str]:
    """Do all there is to do; return what was done."""
    with opened(url, collect=True) as history:
        return [kept.name for kept in history.compact()]


def views(history: RemoteHistory) -> list[object]:
    """Return all that a reader can ask for."""
    lines = everything(history)
    behind = [list(history.lines(position)) for position, _ in lines[::5]]
    back = list(history._scan_back())
    return [lines, behind, back, len(history), history.tail(7), history.verify().faults, history._next_number()]


def test_a_sealed_history_reads_as_before(url: str) -> None:
    """Positions, lines, counts and numbers are the same before, after sealing, and after collecting."""
    append_all_kinds(url)
    with opened(url) as history:
        before = views(history)
    objects = Objects(url)
    buckets = len(objects.names("log/")) // BUCKET
    assert buckets >= 4
    with opened(url) as history:
        assert [kept.name for kept in history.compact()] == [segment_key(bucket) for bucket in range(buckets)]
        assert views(history) == before
    with opened(url, collect=True) as history:
        collected = [kept.name for kept in history.compact()]
        assert views(history) == before
    assert collected == [segment_key(bucket) for bucket in range(len(collected))]
    assert len(collected) >= 2
    assert objects.names("gc/") == [f"gc/{bucket:010d}" for bucket in range(len(collected))]
    assert objects.names("log/")[0] == commit_key(len(collected) * BUCKET)
    with opened(url) as history:
        assert views(history) == before
    assert seal_and_collect(url) == []


def test_a_segment_that_forgets_control_lines_is_caught(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without them nobody knows where a commit ends, and positions change."""
    monkeypatch.setattr(
        Sealer,
        "_plain",
        lambda sealer, sizes, _keep_on: (
            b"".join(line for line in body.splitlines(keepends=True) if not line.startswith(b'{"_iterlog"'))
            for body in sealer._reader.bodies(sizes)
        ),
    )
    with pytest.raises((AssertionError, IterlogError)):
        test_a_sealed_history_reads_as_before(url)


def test_two_sealers_make_one_segment(url: str, caplog: pytest.LogCaptureFixture) -> None:
    """At once and with different levels: one is stored, the other finds the same plain bytes and is content."""
    append_all_kinds(url)
    start = threading.Barrier(2)
    kept: list[str] = []
    errors: list[Exception] = []

    def seal(level: int) -> None:
        try:
            with opened(url, level=level) as history:
                start.wait()
                kept.extend(kept.name for kept in history.compact())
        except Exception as error:  # noqa: BLE001 - looked at below
            errors.append(error)

    with opened(url) as history:
        before = everything(history)
    sealers = [threading.Thread(target=seal, args=(level,)) for level in (1, 19)]
    for sealer in sealers:
        sealer.start()
    for sealer in sealers:
        sealer.join()
    assert errors == []
    segments = Objects(url).names("seg/")
    assert sorted(kept) == segments
    assert len(segments) >= 4
    assert not caplog.records
    with opened(url) as history:
        assert everything(history) == before


def test_a_segment_of_other_commits_is_refused(url: str) -> None:
    """What stands there already must hold the same lines; nothing is collected."""
    append_singles(url, 5 * BUCKET)
    objects = Objects(url)
    with opened(url) as history:
        list(history.compact())
    other = objects.read(segment_key(1))
    objects.write(segment_key(0), other)
    with opened(url) as history, pytest.raises(CorruptionError):
        history._sealer._sealed(0, history._reader.numbers_in(0), lambda: True)


class StoppedError(BaseException):
    """The process ends here."""


def stopping_after(requests: int, monkeypatch: pytest.MonkeyPatch, *, done: bool) -> None:
    """End the process before or behind the n-th request that changes something."""
    left = [requests]

    def counting(method: Callable[..., object]) -> Callable[..., object]:
        def call(*args: object) -> object:
            left[0] -= 1
            if left[0] < 0 and not done:
                raise StoppedError
            result = method(*args)
            if left[0] < 0:
                raise StoppedError
            return result

        return call

    monkeypatch.setattr(FilesystemClient, "create", counting(FilesystemClient.create))
    monkeypatch.setattr(FilesystemClient, "remove", counting(FilesystemClient.remove))


@pytest.mark.parametrize("done", [False, True], ids=["before", "behind"])
def test_a_sealer_that_ends_at_any_moment_costs_nothing(url: str, done: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Before and behind each change it makes: all is read, and the next sealer does what is left."""
    append_all_kinds(url)
    with opened(url) as history:
        before = everything(history)
    for requests in itertools.count():
        with monkeypatch.context() as patched:
            stopping_after(requests // 2, patched, done=done)
            try:
                seal_and_collect(url)
                break
            except StoppedError:
                pass
        with opened(url) as history:
            assert everything(history) == before
    assert requests > 2
    assert Objects(url).names("gc/")
    with opened(url) as history:
        assert everything(history) == before


def test_a_bulk_removal_that_ends_half_way_is_finished(url: str) -> None:
    """Some commits of a collected bucket still stand: readers use the segment, and the next one removes the rest."""
    append_all_kinds(url)
    with opened(url) as history:
        before = everything(history)
        list(history.compact())
    objects = Objects(url)
    objects.write("gc/0000000000", b"")
    objects.remove([commit_key(number) for number in (1, 2, 5)])
    with opened(url) as history:
        assert everything(history) == before
    seal_and_collect(url)
    assert commit_key(0) not in objects.names("log/")
    with opened(url) as history:
        assert everything(history) == before


@pytest.mark.parametrize("backwards", [False, True])
@pytest.mark.parametrize("stop", range(0, 40, 3))
def test_a_reader_goes_on_while_others_seal_and_collect(url: str, stop: int, backwards: bool) -> None:
    """What it has listed, and not read yet, is sealed and collected: it reads the same lines."""
    append_all_kinds(url)
    with opened(url) as history, opened(url) as other:
        before = list(other._scan_back() if backwards else other._scan(other.begins_at))
        lines = history._scan_last(3) if backwards else history._scan(history.begins_at)
        found = [next(lines) for _ in range(stop)]
        assert seal_and_collect(url)
        assert found + list(lines) == before


def test_a_reader_that_does_not_look_for_a_segment_is_caught(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """It reports commits as missing that are only elsewhere."""
    monkeypatch.setattr(reading.CommitReader, "_is_sealed", lambda _reader, _bucket: False)
    with pytest.raises(CorruptionError):
        go_on_strictly(url)


def go_on_strictly(url: str) -> None:
    """Read on over a collection, with damage as an error."""
    append_singles(url, 6 * BUCKET)
    with opened(url, on_damage="raise") as history:
        lines = history._scan(history.begins_at)
        next(lines)
        seal_and_collect(url)
        assert len(list(lines)) == 6 * BUCKET - 1


def test_nothing_young_is_collected(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Within a week of its sealing a bucket stands in both places, and the newest two always do."""
    append_singles(url, 5 * BUCKET)
    with monkeypatch.context() as patched:
        patched.setattr(sealing, "COLLECTED_AFTER", dt.timedelta(days=7))
        seal_and_collect(url)
    objects = Objects(url)
    assert len(objects.names("log/")) == 5 * BUCKET
    assert objects.names("gc/") == []
    with opened(url) as history:  # nobody asked for it
        list(history.compact())
    assert len(objects.names("log/")) == 5 * BUCKET
    seal_and_collect(url)
    assert objects.names("log/")[0] == commit_key(3 * BUCKET)


def damage_lines(objects: Objects, name: str) -> None:
    """Change a byte of a segment's lines; its footer is farther behind."""
    data = objects.read(name)
    objects.write(name, changed(data[:100]) + data[100:])


def damage(objects: Objects, name: str) -> None:
    """Change a byte in the middle of an object."""
    objects.write(name, changed(objects.read(name)))


def test_a_damaged_segment_is_read_from_the_log_while_that_stands(url: str) -> None:
    """Nothing is lost, and nothing of that bucket is collected."""
    append_all_kinds(url)
    objects = Objects(url)
    with opened(url) as history:
        before = everything(history)
        list(history.compact())
        damage_lines(objects, segment_key(0))
        assert everything(history) == before
        assert len(history) == sum(1 for _ in history)
    with opened(url, collect=True) as history, pytest.raises(CorruptionError):
        list(history.compact())
    assert objects.names("log/")[0] == commit_key(0)


def test_a_damaged_segment_without_a_log_is_reported(url: str, caplog: pytest.LogCaptureFixture) -> None:
    """What it cannot give any more is told with the position behind it; all other buckets are read."""
    append_singles(url, 5 * BUCKET)
    seal_and_collect(url)
    damage_lines(Objects(url), segment_key(1))
    with opened(url) as history:
        found = [each.feedback for each in history]
        assert set(found) >= {str(i) for i in range(5 * BUCKET)} - {str(i) for i in range(BUCKET, 2 * BUCKET)}
        assert [fault.position for fault in history.verify().faults if fault.kind is FaultKind.MISSING]
        assert history.resume().next_iteration == 5 * BUCKET
    assert caplog.records
    with opened(url, on_damage="raise") as history, pytest.raises(CorruptionError) as raised:
        list(history)
    assert raised.value.position is not None
    with opened(url) as history:
        assert next(history.read(raised.value.position)).feedback == str(2 * BUCKET)


def test_missing_commits_are_reported(url: str, caplog: pytest.LogCaptureFixture) -> None:
    """Each with its position; the others are read, the bucket stays as it is, and writers go on."""
    caplog.set_level(logging.CRITICAL)
    append_singles(url, 2 * BUCKET)
    objects = Objects(url)
    objects.remove([commit_key(3), commit_key(BUCKET + 1)])
    with opened(url) as history:
        assert [each.feedback for each in history] == [str(i) for i in range(2 * BUCKET) if i not in (3, BUCKET + 1)]
        missing = [fault.position for fault in history.verify().faults if fault.kind is FaultKind.MISSING]
        assert [position[0] for position in missing] == [4, BUCKET + 2]
        assert list(history.compact()) == []
        history.append({"code": None, "metrics": {}, "feedback": "after"})
        assert history.tail(1)[0].iteration == 2 * BUCKET
    with opened(url, on_damage="raise") as history, pytest.raises(CorruptionError):
        list(history)


def test_a_damaged_commit_costs_its_line(url: str, caplog: pytest.LogCaptureFixture) -> None:
    """It is reported, its bucket stays in the log or is sealed with the damage in it, and all others are read."""
    caplog.set_level(logging.CRITICAL)
    append_singles(url, 2 * BUCKET)
    damage(Objects(url), commit_key(3))
    with opened(url) as history:
        before = everything(history)
        assert len(list(history)) == 2 * BUCKET - 1
        list(history.compact())
        assert everything(history) == before
        assert [fault.position[0] for fault in history.verify().faults] == [4]


def test_a_bucket_that_cannot_be_read_is_not_sealed(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A store that fails is an error, not a bucket with holes."""
    append_singles(url, 2 * BUCKET)

    def get(_client: FilesystemClient, _key: str, *, patient: bool = True) -> bytes:
        raise RefusedError(UnavailableError("away"), again=patient)

    monkeypatch.setattr(FilesystemClient, "get", get)
    with opened(url) as history, pytest.raises(UnavailableError):
        list(history.compact())
    assert Objects(url).names("seg/") == []


def test_every_commit_that_is_appended_can_be_divided(url: str) -> None:
    """Its first line says how many there are, or its bucket could never be sealed."""
    append_all_kinds(url)
    objects = Objects(url)
    assert all(is_divisible(objects.read(name)) for name in objects.names("log/"))
    seal_and_collect(url)
    plain = b"".join(SealedSegment(BytesSource(objects.read(segment_key(0)))).chunks())
    assert plain.count(b'"_iterlog":"fence"') >= 1
    assert plain.count(b'"_iterlog":"append"') >= 1
