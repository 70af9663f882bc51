"""The file ``NAME.lock`` beside a history: who may write, who wrote last, which loop runs.

It is never unlinked: that would split those who wait for it over two inodes. Its first 256 bytes are the note of the
last writer, the next 256 the claim of a running loop, both JSON padded with spaces; behind them may stand where the
history was moved to. The append lock is a ``flock`` on the whole file; the claim is a second lock, which lives as long
as the handle of the loop that holds it.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import errno
import fcntl
import os
import socket
import struct
import sys
import time
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import msgspec

from iterlog.errors import ConflictError
from iterlog.files.durable import CREATE_FLAGS, NEW_FILE_MODE, READ_FLAGS, sync_directory

if TYPE_CHECKING:
    from collections.abc import Iterator

_OPEN_FLAGS = os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
_PART = 256
_NOTE_AT = 0
_CLAIM_AT = _PART
_RECEIPT_AT = 2 * _PART
_LONGEST_RECEIPT = 1 << 16
_NUMBERS_END = 1 << 63
_CLAIM_BYTE = 1 << 30  # far behind the content: the range lock of the claim covers this one byte
KEEPER_BYTE = _CLAIM_BYTE + 1
_DEAD_HOLDER_WAIT_S = 3.0

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder().decode


@dataclass(frozen=True)
class WriterNote:
    """What the last writer left for the next one.

    Attributes:
        boot_id: The boot it wrote in. Another one now means the machine may have crashed since.
        highest: At least the highest iteration number of the history whenever its last line does not have it.
        turn: The number of the file that is appended to, in a set of files; changes whenever writers must look again.
        reserved: No line of the set ever had a higher number: what is handed out is noted before, some at a time. Equal
            to ``turn`` while nothing was appended to that file.
    """

    boot_id: str
    highest: int = -1
    turn: int = 0
    reserved: int = 0


class LockFile:
    """The lock file of one history, as one handle has it open."""

    def __init__(self, path: str, url: str, *, shared_with_other_machines: bool = False) -> None:
        self.path = path
        self._url = url
        self._descriptor = -1
        self._claim_descriptor = -1
        self._new = False  # this handle created the file and has not left a note yet
        # A range lock beside a flock on the same file is safe on Linux's own file systems only: elsewhere the two
        # exclude each other.
        self._range_claim = sys.platform == "linux" and not shared_with_other_machines

    def acquire(self) -> bool:
        """Wait for the append lock; return whether the file is new: nobody has left a note in it."""
        while True:
            if self._descriptor < 0:
                self._descriptor, created = open_or_create(self.path)
                self._new = self._new or created
            fcntl.flock(self._descriptor, fcntl.LOCK_EX)
            if os.fstat(self._descriptor).st_nlink:
                if self._new and self.note_bytes().strip(b"\0"):  # NULs: a claim was written behind where it would be
                    self._new = False  # another handle had the lock first and left one
                return self._new
            # Somebody removed the file, and others lock the one that came after it.
            descriptor, self._descriptor = self._descriptor, -1
            os.close(descriptor)

    def release(self) -> None:
        """Give the append lock back; harmless when it is not held."""
        if self._descriptor < 0:
            return
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_UN)
        except OSError:
            # Closing gives it back as well, and what is being done under the lock has its own error to tell.
            descriptor, self._descriptor = self._descriptor, -1
            os.close(descriptor)

    @contextlib.contextmanager
    def kept_from_writers(self) -> Iterator[None]:
        """Keep appends out for the length of a block, as far as this user may; for who only reads."""
        descriptor = -1
        with contextlib.suppress(OSError):  # without a lock file there are no writers of ours
            descriptor = os.open(self.path, READ_FLAGS)
            fcntl.flock(descriptor, fcntl.LOCK_SH)
        try:
            yield
        finally:
            if descriptor >= 0:
                os.close(descriptor)

    def read_note(self) -> WriterNote | None:
        """Return the last writer's note, None when there is none that can be read."""
        return _note_in(self._descriptor)

    def note_bytes(self) -> bytes:
        """Return the note as it stands: the cheapest way to learn whether another writer left a new one."""
        return os.pread(self._descriptor, _PART, _NOTE_AT)

    def write_note(self, note: WriterNote, *, durable: bool = False) -> None:
        """Replace the note; only under the append lock."""
        _write_part(self._descriptor, _NOTE_AT, {"format": 1, **asdict(note)})
        self._new = False
        if durable:
            os.fsync(self._descriptor)

    def read_receipt(self) -> dict[str, Any]:
        """Return what was noted when the history was moved away and removed here; empty when nothing was."""
        import json  # noqa: PLC0415 - few read it, and it may hold what msgspec refuses

        try:
            fields = json.loads(os.pread(self._descriptor, _LONGEST_RECEIPT, _RECEIPT_AT) or b"{}")
        except (ValueError, RecursionError):
            return {}
        return fields if isinstance(fields, dict) else {}

    def write_receipt(self, fields: dict[str, Any]) -> None:
        """Note durably where the history went; only under the append lock, before it is removed here."""
        import json  # noqa: PLC0415 - as above

        data = json.dumps(fields).encode() + b"\n"  # also of names that are no UTF-8
        if len(data) > _LONGEST_RECEIPT or os.pwrite(self._descriptor, data, _RECEIPT_AT) < len(data):
            raise OSError(errno.ENOSPC, "the lock file was written in part")
        os.ftruncate(self._descriptor, _RECEIPT_AT + len(data))
        os.fsync(self._descriptor)

    def clear_receipt(self) -> None:
        """Forget where an earlier history went: another one begins; only under the append lock."""
        if os.fstat(self._descriptor).st_size > _RECEIPT_AT:
            os.ftruncate(self._descriptor, _RECEIPT_AT)

    def claim(self) -> None:
        """Claim the history for the loop that uses this handle; again is fine.

        Raises:
            ConflictError: Another handle holds the claim.
        """
        if self._claim_descriptor >= 0:
            return
        path = self.path if self._range_claim else f"{self.path}.claim"
        descriptor, created = open_or_create(path)
        self._new = self._new or (created and path == self.path)
        try:
            self._wait_for_claim(descriptor)
        except BaseException:
            os.close(descriptor)
            raise
        since = dt.datetime.now(dt.UTC).isoformat(timespec="seconds")
        host = socket.gethostname()[:100]
        _write_part(descriptor, _CLAIM_AT, {"pid": os.getpid(), "host": host, "since": since})
        self._claim_descriptor = descriptor

    def close(self) -> None:
        """Release the claim and close the file."""
        if self._claim_descriptor >= 0:
            with contextlib.suppress(OSError):  # the name is a courtesy to people; the lock is what counts
                _write_part(self._claim_descriptor, _CLAIM_AT, {})
            with contextlib.suppress(OSError):  # a child forked just now may keep the descriptor for a moment longer
                self._change_claim(self._claim_descriptor, fcntl.F_UNLCK, fcntl.LOCK_UN)
        self.forget()

    def forget(self) -> None:
        """Close what is open without a word to others: for a forked child, where the parent goes on holding it."""
        descriptors = (self._descriptor, self._claim_descriptor)
        self._descriptor = self._claim_descriptor = -1
        for descriptor in descriptors:
            if descriptor >= 0:
                os.close(descriptor)

    def _wait_for_claim(self, descriptor: int) -> None:
        """Take the claim; wait only for a process that is gone.

        A killed process's lock lives on for some milliseconds in a child it had forked that has not called exec yet.
        """
        deadline = time.monotonic() + _DEAD_HOLDER_WAIT_S
        while True:
            try:
                self._change_claim(descriptor, fcntl.F_WRLCK, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as error:
                if error.errno not in {errno.EAGAIN, errno.EACCES}:
                    raise
                holder = _read_part(descriptor, _CLAIM_AT)
                if time.monotonic() > deadline or not _is_gone(holder):
                    raise ConflictError(_describe(holder), url=self._url) from None
                time.sleep(0.005)
            else:
                return

    def _change_claim(self, descriptor: int, range_lock: int, whole_lock: int) -> None:
        if self._range_claim:
            lock_byte(descriptor, range_lock, _CLAIM_BYTE)
        else:
            fcntl.flock(descriptor, whole_lock)


def read_note(path: str) -> WriterNote | None:
    """Return the note in a lock file, for who only reads; None when there is none that can be read."""
    try:
        descriptor = os.open(path, READ_FLAGS)
    except OSError:
        return None
    try:
        return _note_in(descriptor)
    finally:
        os.close(descriptor)


def lock_byte(descriptor: int, kind: int, byte: int) -> None:
    """Take or give back an open file description lock (fcntl(2)) on one byte, without waiting.

    Unlike a POSIX lock it is not lost when another descriptor of the file is closed in this process.
    """
    lock = struct.pack("hhqqi4x", kind, os.SEEK_SET, byte, 1, 0)
    fcntl.fcntl(descriptor, fcntl.F_OFD_SETLK, lock)


def open_or_create(path: str) -> tuple[int, bool]:
    """Open a lock file, creating it durably, so that no crash can make a written-to history look untouched."""
    try:
        return os.open(path, _OPEN_FLAGS), False
    except FileNotFoundError:
        pass
    try:
        descriptor = os.open(path, _OPEN_FLAGS | CREATE_FLAGS, NEW_FILE_MODE)
    except FileExistsError:
        return os.open(path, _OPEN_FLAGS), False
    try:
        os.fsync(descriptor)
        sync_directory(os.path.dirname(path))
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor, True


def _read_part(descriptor: int, offset: int) -> dict[str, Any]:
    return _decoded(os.pread(descriptor, _PART, offset))


def _decoded(data: bytes) -> dict[str, Any]:
    try:
        fields = _decode(data.strip(b" \n\0") or b"{}")
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return {}
    return fields if isinstance(fields, dict) else {}


def _note_in(descriptor: int) -> WriterNote | None:
    fields = _read_part(descriptor, _NOTE_AT)
    boot, highest = fields.get("boot_id"), fields.get("highest")
    turn, reserved = (number if type(number := fields.get(name)) is int else 0 for name in ("turn", "reserved"))
    if not isinstance(boot, str) or type(highest) is not int or not -1 <= highest < _NUMBERS_END:
        return None
    return WriterNote(boot, highest, turn, max(turn, reserved))


def _write_part(descriptor: int, offset: int, fields: dict[str, Any]) -> None:
    if os.pwrite(descriptor, _encode(fields).ljust(_PART - 1)[: _PART - 1] + b"\n", offset) < _PART:
        raise OSError(errno.ENOSPC, "the lock file was written in part")


def _is_gone(holder: dict[str, Any]) -> bool:
    """Whether the process that noted its claim ran on this machine and runs no more, or died before it noted it."""
    if not holder:
        return True  # the note is written microseconds after the lock is taken
    pid = holder.get("pid")
    if holder.get("host") != socket.gethostname()[:100] or type(pid) is not int or pid <= 0:
        return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    except (OSError, OverflowError):
        return False  # it lives and is another user's, or the number is none
    return False


def _describe(holder: dict[str, Any]) -> str:
    pid, host, since = (str(holder.get(name, "unknown"))[:100] for name in ("pid", "host", "since"))
    own = " (this one)" if pid == str(os.getpid()) and host == socket.gethostname()[:100] else ""
    shown = f"process {pid}{own} on {host} since {since}".encode("unicode_escape").decode("ascii")
    return (
        f"a loop is running on this history: {shown}; stop it or close its handle first, or give this loop "
        "a history of its own"
    )
