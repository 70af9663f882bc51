"""One append-only file of lines, done right: what every backend with local files stands on.

- `iterlog.files.lines_of`: reading lines forwards and backwards, whole appends only
- `iterlog.files.logfile`: the append protocol
- `iterlog.files.tail`: the end of a file after a crash: what is kept, what is set aside, which number comes next
- `iterlog.files.replaced`: the same interface by replacing the whole file
- `iterlog.files.lockfile`: the lock beside a history, the note of its last writer, the claim of a loop
- `iterlog.files.keeperlock`: the lock of who compresses and removes files beside the one that is appended to
- `iterlog.files.durable`: syncing, creating and setting aside
- `iterlog.files.failures`: what an operating system's refusal means for who called
- `iterlog.files.machine`: the boot id, and which file systems are shared with other machines
"""
