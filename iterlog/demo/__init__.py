"""``iterlog demo``: a real loop, without network, that loses its worker to SIGKILL half-way and goes on.

- `iterlog.demo.loop`: the loop itself, the part to copy.
- `iterlog.demo.proposer` writes each candidate, the source of a trading strategy (`iterlog.demo.program`), from the
  best one so far and the last feedback; `iterlog.demo.feedback` writes that feedback.
- `iterlog.demo.candidate` runs it, guarded, in `iterlog.demo.runner`, on the prices of `iterlog.demo.market`;
  `iterlog.demo.measures` says how well it did.
- `iterlog.demo.conductor` starts the worker (`iterlog.demo.worker`), kills it, starts the next one, and checks that
  nothing is missing; `iterlog.demo.outcome` is what came of it, and `iterlog.demo.report` puts that into words.

Everything goes through iterlog's public interface.
"""

import sys

from iterlog import UnsupportedOperationError

if sys.platform == "win32":
    raise UnsupportedOperationError("the demo needs POSIX signals, limits and file locks; on Windows, run it in WSL")
