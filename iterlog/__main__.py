"""``python -m iterlog`` is the command ``iterlog``."""

from __future__ import annotations

from iterlog.cli import main

if __name__ == "__main__":
    main()
