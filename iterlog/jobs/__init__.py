"""Whole-history work: copying any history to any other and proving the copy, and turning a file into a rotating set.

- `iterlog.jobs.archive`: one history to another, proven before anything is removed
- `iterlog.jobs.many`: the same for many, in several processes
- `iterlog.jobs.sources`: what is removed of an archived history, and what must hold before
- `iterlog.jobs.receipts`: what an archival leaves there, so that it is known again when it is done
- `iterlog.jobs.sync`: one history kept up with another, once or for good; the other way round it restores
- `iterlog.jobs.rotate`: a plain file becomes a rotating set, in use or not

Every job may be killed anywhere and started again: it goes on from what is stored, and does nothing twice. How lines
are copied and proven, `iterlog.copying` knows.
"""
