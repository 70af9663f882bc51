"""Sealed segments: lines of a history, compressed as one, with an index of their metrics behind them.

The room knows bytes and where to read them (`iterlog.segments.source.Source`), no directories and no protocols. What a
segment holds is sacred: every byte of the plain file, damaged lines, unfinished appends and marks of batches included.

    zstd    ONE frame, content size and checksum in it │ ONE skippable frame (0x184D2A51) with the footer
    gzip    ONE member with the plain bytes            │ empty members whose extra fields carry the footer

So ``zstd -dc``, ``zcat``, DuckDB, polars, pyarrow and pandas read it as it stands, and one read of its end gives the
footer whole. The footer stands in the file it speaks of and names that file's frame, so the two cannot go out of step.

- `iterlog.segments.segment`: reading lines, forwards, backwards, one alone
- `iterlog.segments.sealing`: writing a segment and proving it
- `iterlog.segments.footer`: what a segment says of itself; `iterlog.segments.head`: that in short, read by itself
- `iterlog.segments.index`: the footer's columns; `iterlog.segments.columns`: one of them, a value per line
- `iterlog.segments.build`: making a footer of lines; `iterlog.segments.beside`: compressing meanwhile
- `iterlog.segments.packing`: decoding part by part; `iterlog.segments.frames`: zstd; `iterlog.segments.members`: gzip
- `iterlog.segments.splitting`: bytes into lines
- `iterlog.segments.limits`: what a segment may cost its reader
- `iterlog.segments.source`: bytes by range

One frame, for readers are known that read only the first of several and say nothing. The records of a segment are
compressed together: alone, they would shrink to a half instead of a twentieth. Prefer zstd: where lineages interleave,
gzip's window of 32 KiB does not reach a record's parent, and its files are five times as large.

zstandard is imported when the first segment is read or written.
"""
