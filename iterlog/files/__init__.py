"""One append-only file of lines, done right: what every backend with local files stands on.

- `iterlog.files.lines_of`: reading lines forwards and backwards, whole appends only
- `iterlog.files.logfile`: the append protocol and the repair of a torn end
- `iterlog.files.replaced`: the same interface by replacing the whole file
- `iterlog.files.lockfile`: the lock beside a history, the note of its last writer, the claim of a loop
- `iterlog.files.durable`: syncing, creating and setting aside
- `iterlog.files.machine`: the boot id, and which file systems are shared with other machines
"""
