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

`client` says what is asked of a store and `filesystem` asks it through fsspec; `causes` tells failures apart. `layout`
has the names, `commits` the bytes, `tail` finds the newest commit, `committing` makes the next one, `reading` reads
them all, `sealing` turns full buckets into segments and collects what stands in those.
"""
