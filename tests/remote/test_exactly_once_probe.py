"""Stores that create an object over one that is there: refused before a second writer can overwrite a record."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import pytest
from appended import PREFIX, opened, record
from fault_proxy import Answer, AnswerAfter, DropAfter, DropBefore, FaultProxy, script

from iterlog import UnsupportedOperationError
from iterlog.lines import encode_body, finish_line
from iterlog.remote.committing import Committer
from iterlog.remote.layout import PROBE, commit_key

if TYPE_CHECKING:
    from fault_proxy import Fault
    from servers import Place


def body(number: int) -> bytes:
    """Make the commit of one record, as another program may have put it there."""
    return finish_line(number, encode_body(record("stored", number))) + b"\n"


def put_history(place: Place) -> dict[str, bytes]:
    """Store three commits through the back door; return all objects."""
    for number in range(3):
        place.back_door.put(f"{PREFIX}/{commit_key(number)}", body(number))
    return objects(place)


def objects(place: Place) -> dict[str, bytes]:
    """Return the commits by name."""
    door = place.back_door
    return {name: door.get(name) or b"" for name in door.names(f"{PREFIX}/log/")}


def test_an_append_is_refused_and_nothing_is_overwritten(careless: Place) -> None:
    """By each handle, whenever it tries, and however many try at once; reading goes on."""
    before = put_history(careless)
    refused: list[BaseException] = []

    def append() -> None:
        with opened(careless) as history:
            for _ in range(2):
                try:
                    history.append(record("second"))
                except UnsupportedOperationError as error:
                    refused.append(error)

    writers = [threading.Thread(target=append) for _ in range(4)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert len(refused) == 8
    assert objects(careless) == before
    with opened(careless) as history:
        assert [each.iteration for each in history] == [0, 1, 2]


def test_an_empty_place_is_refused_as_well(careless: Place) -> None:
    """Before the first record, so that nobody learns of it from a record that is gone."""
    with opened(careless) as history:
        with pytest.raises(UnsupportedOperationError):
            history.append(record("first"))
        with pytest.raises(UnsupportedOperationError):
            history.resume()
    assert objects(careless) == {}


def test_without_the_probe_records_are_overwritten(careless: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two writers that know the same end: the second takes the first one's place, and both are content."""
    monkeypatch.setattr(Committer, "_check_store", lambda _committer: None)
    with opened(careless) as one, opened(careless) as other:
        one.append(record("zero"))
        other.append(record("one"))
        one.append(record("two"))
        assert len(objects(careless)) == 2


@pytest.mark.parametrize("fault", [DropBefore(), DropAfter(), Answer(500), AnswerAfter(500)], ids=repr)
@pytest.mark.parametrize("name", ["s3", "rclone_s3"])
def test_the_probe_survives_faults(name: str, fault: Fault, request: pytest.FixtureRequest) -> None:
    """A lost answer does not make a careless store careful, nor a careful one careless."""
    place: Place = request.getfixturevalue(name)
    with (
        FaultProxy(place.server.address) as proxy,
        proxy.failing(script([fault] * 3, where=lambda each: each.kind == "PUT" and each.key.endswith(PROBE))),
        opened(place.through(proxy.address)) as history,
    ):
        if name == "s3":
            history.append(record("first"))
        else:
            with pytest.raises(UnsupportedOperationError):
                history.append(record("first"))
        assert proxy.played
    assert len(objects(place)) == (name == "s3")
