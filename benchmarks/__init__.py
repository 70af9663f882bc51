"""Speed, measured against raw limits in the same loop: ``python -m benchmarks``.

Every contestant takes turns with the bare operation it cannot beat, round by round, so that a slow moment of the
machine hits both. What counts is the ratio of the medians; single times say little on a shared machine.
"""
