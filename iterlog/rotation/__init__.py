"""A directory of numbered files that together are one history: plain at the end, sealed and compressed before it.

- `iterlog.rotation.layout`: the names, and what a listing of them means
- `iterlog.rotation.active`: appending to the newest file, and sealing it
- `iterlog.rotation.parts`: reading one file
- `iterlog.rotation.reading`: one history out of many files, while they are sealed, compressed and removed
- `iterlog.rotation.spans`: which numbers the sealed files hold
- `iterlog.rotation.checking`: what a full check finds beside what reading tells
- `iterlog.rotation.twins`: files that hold the same lines, and which of them is whole
- `iterlog.rotation.loss`: what a set knows of a newest file that somebody removed
- `iterlog.rotation.keeping`: compressing, merging and removing sealed files, one keeper at a time
- `iterlog.rotation.rewriting`: one compressed file out of one or several; `iterlog.rotation.retention`: what is kept

A file's number is the number of lines before it. The listing is the only truth, and every state between two steps of
sealing, compressing or removing reads as the same history.
"""
