"""The command line ``iterlog``: a thin face on what `iterlog.open_history` returns, with no logic of its own.

- `iterlog.cli.app`: the table of commands, each imported when it is called, and the way in
- `iterlog.cli.command`: what the commands share: examples before anything else in the help, arguments, options
- `iterlog.cli.exits`: from errors, Ctrl-C and closed pipes to exit codes
- `iterlog.cli.output`: standard output and standard error; `iterlog.cli.escape`: stored text made harmless
- `iterlog.cli.tables`: rows as aligned text, CSV, Markdown or JSON; `iterlog.cli.records`: records as rows and pages
- one module per command, or per pair of commands that differ in an argument

Promises: data on stdout, talk on stderr. Exit codes are those of `iterlog.cli.exits.ExitCode`. No control character of
stored text reaches a terminal. No error of ours ends in a traceback.
"""

from __future__ import annotations

from iterlog.cli.app import main

__all__ = ["main"]
