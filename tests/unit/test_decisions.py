"""The pages of decisions: numbered without a gap or a double, each headed by its number and said in three parts."""

from __future__ import annotations

from pathlib import Path

PAGES = sorted((Path(__file__).parents[2] / "docs" / "decisions").iterdir())


def test_each_page_has_a_number_of_its_own_and_is_headed_by_it() -> None:
    """A page that took another one's number, or has no number in its heading, cannot be referred to."""
    assert [page.name[:5] for page in PAGES] == [f"{number:04}-" for number in range(1, len(PAGES) + 1)]
    headings = [page.read_text().partition("\n")[0] for page in PAGES]
    assert [heading.partition(" ")[2].partition(" ")[0] for heading in headings] == [
        f"{number}." for number in range(1, len(PAGES) + 1)
    ]


def test_each_page_says_problem_choice_and_what_was_refused() -> None:
    """What was not done, and why, is what the code cannot say."""
    for page in PAGES:
        text = page.read_text()
        assert [part for part in ("**Problem.**", "**Choice", "**Refused.**") if part not in text] == [], page.name
