r"""Where the bytes go: one module per kind of place. This page is for who writes another one.

A backend stores lines and gives them back. What a record is, how it becomes a line, numbers, feedback, checking and
every method users call are done above it, once, so a backend is two methods and whatever it can do better than the
defaults. Import nothing but ``iterlog`` and ``iterlog.options``: these are stable, the other modules are not.

What you are given
    A line is the bytes of one record: a JSON object in UTF-8 with a whole number ``"iteration"``, no newline in it, of
    any length. Store it as it is and give it back as it is, also when it is damaged by then: checksums are verified
    above you. All lines of one call of ``_append`` are one batch, and each but the last says in itself how many follow.

The two methods
    ``_append(lines, durability)`` stores the lines behind all others, all or none, and returns the `iterlog.Position`
    behind the last. It is called by several threads at once, and in several processes.

    ``_scan(start)`` yields ``(position, line)``, oldest first, for each line behind ``start``, with the position behind
    that line. ``iterlog.START`` is the beginning and smaller than every other position. No lines of an append that is
    not whole, now or because a crash cut it short. A history that is missing has no lines; one that cannot be read is
    an error. One that ends before ``start`` raises CorruptionError.

    A position is ``Position.of(…)`` of one to four whole numbers of your choice. They grow with each line and name the
    same place for ever, whatever is appended, repaired or compacted later.

The hooks with defaults
    ``_scan_back()`` yields what ``_scan`` yields, newest first. Write it: the default reads everything, and resume(),
    last() and tail() are promised to cost the same at any length. ``_scan_last(count)`` is the same for a caller who
    most likely stops after so many lines, and ``_scan_for(iteration)`` may leave out lines that cannot hold a number.

    ``_next_number()`` returns the first number for a new record; the default goes on behind the newest one.
    ``_count()`` returns how many records can be read. ``_repair()`` puts the end in order after a crash, as the next
    append would, and tells ``self._report_dropped(Dropped(…))`` what it set aside. ``_unread()`` returns a `Fault` for
    what ``_scan`` passes over, so that verify() shows it; where ``_scan`` itself tells of damage, or raises it,
    ``_scan_to_verify(report)`` yields the same lines and reports a `Fault` instead. ``_flush()`` makes durable what was
    appended with less. ``_settle_numbers()`` stores what ``_append_numbered`` put off, if it does, before a number is
    told to anybody. ``_close()`` releases everything; it is called once. Where a look costs money: ``_pause(poll_s,
    idle_s)`` returns how long follow() waits for the next one, and ``with self._one_look():`` resume() asks for newest
    record and next number, so that one request serves both.

    The constructor takes the `iterlog.HistoryURL` and the options: ``super().__init__(url, **options)`` first. Then
    ``self.url`` is the place for messages, and ``self._create`` says whether a history that is missing is fine (else
    raise HistoryNotFoundError; either way only an append creates one). Options of your own are declared in the class as
    ``OPTIONS = {**iterlog.HistoryStore.OPTIONS, "level": Option(count, 9, "how hard to compress")}``, and come to the
    constructor by name; all others are refused for you. A method whose name is taken is refused when the class is
    made; attributes taken are ``_url``, ``_durability``, ``_on_damage``, ``_create``, ``_closed``, ``_reported``,
    ``_dropped``, ``_reservations`` and ``_attendants``.

Abilities
    `iterlog.SupportsNumbering`: ``_append_numbered(make, durability)`` appends ``make(n)``, ``n`` being one more than
    the highest number ever stored, with no other append between. Under a lock, or by creating what must not exist yet
    and calling ``make`` again when somebody was first. Remember the highest number where the newest line does not tell
    it, and return the same from ``_next_number()``. Without this ability, records need numbers of their own.

    `iterlog.SupportsClaim`: ``_claim()`` lets one handle at a time run a loop, until it is closed or its process ends,
    and raises ConflictError to others. When that process was killed the claim must be free, and a guess by its age is
    not enough to know. Without it, resume() claims nothing.

    `iterlog.SupportsFence`, where that cannot be known because loops run on several machines: ``_take_over()`` makes
    sure that appends of handles that took the history over before raise ConflictError from now on.

    What `iterlog.SupportsSegments`, `iterlog.SupportsRotation` and `iterlog.SupportsRequestCounts` ask for is said by
    their methods, which users call. `iterlog.SupportsSpool` comes with ``spool=``, for every backend.

    An ability is there or it is not: leave the mix-in out rather than do half.

What the promises of `iterlog.HistoryStore` ask of you
    1 When ``_append`` returns, ``Durability.SYNC`` survives a power loss (sync the file, and the directory that names
    it), ``Durability.FLUSH`` the end of the process. More than asked for is fine. 2 One write, one rename, one
    transaction or one object per batch. 3 Never renumber. 4 A writer may be killed between any two instructions: what
    it leaves at the end is not read, not deleted, and not what the next append is glued to. 5 Never drop, merge or
    rewrite a line because it looks wrong. 6 Tell "is not there" from "cannot be read": only the first is an empty
    history. 7 Everything above with other writers at work: keep no copy of the end in the handle without checking it,
    and open again in a forked child, where descriptors and their locks are the parent's. 9 See ``_scan_back``. 8 and 10
    are mostly done above you.

Errors
    Raise those of `iterlog`, with what to do next in the message and ``url=self.url``. What matters is what is known:
    UnavailableError when nothing was written and the call may be made again, WriteUncertainError when it may have been
    written (a sync that failed, an answer that never came), ConflictError when somebody else was first,
    CorruptionError with ``position=`` for a history that ends too early, ConfigError for a place that never can be one,
    UnsupportedOperationError for what you never can. No credentials in any of them.

Registering
    In ``pyproject.toml``, with the scheme of the URLs on the left, which cannot be a built-in one::

        [project.entry-points."iterlog.backends"]
        folder = "folder_history:FolderHistory"

    Or, for one process, ``iterlog.register_backend("folder", FolderHistory)``.

Testing
    Subclass `iterlog.testing.HistoryStoreContract` and give it the fixture ``url``, and ``corrupt`` and ``tear`` where
    a disk or a crash can do that. Each of its tests names the promise it holds you to.

A whole one, with a file per append; this text is run against the contract by our tests. folder_history.py::

    import fcntl
    import json
    import os
    from pathlib import Path

    import iterlog
    from iterlog import Position


    class FolderHistory(iterlog.HistoryStore, iterlog.SupportsNumbering):
        '''Files <number of the append>-<next free iteration>.jsonl in a folder; a position is (append, line).'''

        def __init__(self, url, **options):
            super().__init__(url, **options)
            self._folder = Path(url.local_path())
            if not self._create and not self._names():
                raise iterlog.HistoryNotFoundError("there is no history in this folder", url=self.url)

        def _append(self, lines, durability):
            return self._append_numbered(lambda _free: lines, durability)

        def _append_numbered(self, make, durability):  # always synced: more than asked for is fine
            new, written = self._folder / "new", False
            try:
                self._folder.mkdir(exist_ok=True)
                with open(self._folder / "lock", "w") as lock:
                    fcntl.flock(lock, fcntl.LOCK_EX)
                    number, free = self._end()
                    lines = make(free)
                    free = max(free, *(json.loads(line)["iteration"] + 1 for line in lines))
                    new.write_bytes(b"".join(line + b"\n" for line in lines))
                    _sync(new)
                    os.rename(new, self._folder / f"{number + 1:012}-{free:019}.jsonl")
                    written = True
                    _sync(self._folder)
                    if number == 0:
                        _sync(self._folder.parent)
            except OSError as error:
                if written:
                    raise iterlog.WriteUncertainError(f"{error}; read before retrying", url=self.url) from error
                raise iterlog.UnavailableError(f"{error}; nothing was written", url=self.url) from error
            return Position.of(number + 1, len(lines))

        def _scan(self, start):
            names = self._names()
            if start[:1] > self._end()[:1]:
                raise iterlog.CorruptionError("the history ends before this position", url=self.url, position=start)
            for name in names:
                if start[:1] <= _numbers(name)[:1]:
                    yield from (pair for pair in self._load(name) if pair[0] > start)

        def _scan_back(self):
            for name in reversed(self._names()):
                yield from reversed(self._load(name))

        def _next_number(self):
            return self._end()[1]

        def _end(self):
            return _numbers((self._names() or ["0-0.jsonl"])[-1])

        def _names(self):
            try:
                return sorted(name for name in os.listdir(self._folder) if name.endswith(".jsonl"))
            except FileNotFoundError:
                return []  # no folder is an empty history; a folder that cannot be read is not
            except OSError as error:
                raise iterlog.UnavailableError(f"the folder cannot be read: {error}", url=self.url) from error

        def _load(self, name):
            try:
                lines = (self._folder / name).read_bytes().split(b"\n")[:-1]
            except OSError as error:
                raise iterlog.UnavailableError(f"a file cannot be read: {error}", url=self.url) from error
            return [(Position.of(_numbers(name)[0], i), line) for i, line in enumerate(lines, 1)]


    def _numbers(name):
        append, free = name.removesuffix(".jsonl").split("-")
        return int(append), int(free)


    def _sync(path):
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
"""
