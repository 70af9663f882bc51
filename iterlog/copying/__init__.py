"""Stored lines from one history to another, copied as they stand, damaged ones included, and proven.

- `iterlog.copying.overlap`: what a destination holds of a source already
- `iterlog.copying.appending`: lines put together to appends, none of the source's own divided
- `iterlog.copying.proof`: source and destination read side by side
- `iterlog.copying.follower`: one destination kept up with one source, from where it stands
- `iterlog.copying.bookmarks`: the stored position that makes going on cheap
- `iterlog.copying.chase`: a follower that is opened again after an outage

Archiving, syncing and mirroring stand on this one engine. What an interrupted copy left is recognised by its bytes, so
whoever starts again goes on behind it, and nothing is lost or stands there twice.
"""
