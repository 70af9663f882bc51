"""A history in an object store: one object per append, created only where none stands, and segments of a thousand.

    <root>/_iterlog.json                    marker, created once
    <root>/_probe                           shows that the store refuses to create what is there
    <root>/log/<n//1000>/<n>.jsonl          commit n: the lines of one append; creating it is the commit
    <root>/seg/<n//1000>.jsonl.zst          a full bucket of a thousand commits, sealed
    <root>/gc/<bucket>                      up to which bucket commits were collected

What the room promises: a commit exists once its append returned; no two writers get the same number; a commit is never
changed; who reads sees the commits from 0 to some newest one, in order. It stands on one ability of the store alone, to
create an object only where none stands, and refuses to write where that is missing. Every answer but success leaves a
commit undecided until its object was looked at.

What a history is, in terms of a store:

- `iterlog.remote.layout`, `iterlog.remote.commits`: the names of the objects, and their bytes
- `iterlog.remote.tail`: the newest commit, found at a cost that does not grow
- `iterlog.remote.committing`: the next commit, made once; `iterlog.remote.batching` puts several appends into it
- `iterlog.remote.reading`: all commits, in order; `iterlog.remote.prefetch` has several on their way
- `iterlog.remote.sealing`: full buckets into segments, and what stands in those out of the log
- `iterlog.remote.waiting`, `iterlog.remote.endings`: Ctrl-C, the interpreter's end and forks, survived

How a store is asked:

- `iterlog.remote.client`: the five calls, and what may come of each; `iterlog.remote.answers` says it in our errors
- `iterlog.remote.filesystem`: these calls through fsspec; `iterlog.remote.wire` knows how many requests each is
- `iterlog.remote.causes`: why a request failed
- `iterlog.remote.kinds`, `iterlog.remote.protocols`: which file systems serve, and what each of them needs
- `iterlog.remote.sharing`, `iterlog.remote.loop_thread`: one client for all handles of a process, and its thread
"""
