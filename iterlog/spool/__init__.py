"""``spool=True|path``: any store behind a durable local spool, so that a loop outlives its store being away.

What it promises: an append is durable in the spool when it returns, and never waits for the store. One background
thread brings what waits into the store: in order, batch by batch, each exactly once, whatever is killed meanwhile. What
the store cannot take yet is read, counted and resumed from as if it were there.

A spool is a directory:

    backlog/       a rotating set of plain files: what was appended, until the store has it (and a little longer)
    drained        which line of the backlog stands at which position in the store: the map behind positions
    state.json     whose spool it is, and what was last known of the store: its newest line, its next number
    lock           for who changes state.json

- `iterlog.spool.history`: the store that users get
- `iterlog.spool.reading`: the store's records and then the backlog, each once
- `iterlog.spool.draining`: bringing the backlog into the store, exactly once
- `iterlog.spool.worker`: the thread that does so, with its pauses
- `iterlog.spool.target`: the store behind it, as one handle that may be away
- `iterlog.spool.files`, `iterlog.spool.drained`, `iterlog.spool.state`: the directory
- `iterlog.spool.places`: where it is

Errors: what the spool itself cannot take (its disk is full) is raised as by any local history; nothing was written.
`iterlog.UnavailableError` comes from reading what only the store knows while it is away, and when a number is wanted
and the store was never seen. A store that refuses for ever (this loop was fenced off, it can never take the record)
leaves everything in the spool; each further append raises that refusal and writes nothing.

Callers: `iterlog.open_history` through the table of options in `iterlog.registry`; ``iterlog drain`` and ``iterlog
stats``.
"""
