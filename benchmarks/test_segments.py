"""The measurement of segments runs as a test, briefly; sizes are judged, times are not."""

from __future__ import annotations

import pytest

from benchmarks.segments import VARIANTS, lineages, measure
from iterlog.segments.packing import Codec


@pytest.mark.parametrize(("codec", "level"), [variant for variant in VARIANTS if variant[1] != 19])
def test_every_variant_is_measured(codec: Codec, level: int | None) -> None:
    """Each row of the table speaks of all lines of its set."""
    found = measure(lineages(2, 40), codec, level, 1)
    assert found.lines == 40
    assert 0 < found.packed + found.footer < found.plain


@pytest.mark.parametrize(("count", "ratio"), [(1, 20), (20, 16)])
def test_evolving_code_shrinks_to_a_twentieth(count: int, ratio: float) -> None:
    """The default level meets the sizes we speak of, for one lineage and, without its footer or with it, for 20."""
    found = measure(lineages(count, 1000), Codec.ZSTD, None, 1)
    assert found.plain / found.packed > ratio
    assert count == 1 or found.plain / (found.packed + found.footer) > ratio
