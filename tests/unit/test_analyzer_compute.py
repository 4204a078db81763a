"""Comparing what is stored with what is computed again."""

import pytest

from screener_analyzer.compute import differences


@pytest.mark.parametrize(
    ("stored", "computed", "differs"),
    [
        (None, None, False),
        (None, 0.0, True),
        (0.0, None, True),
        (1.0, 1.0, False),
        (1.0, 1.0 + 1e-12, False),
        (1.0, 1.0 + 1e-6, True),
        (1e12, 1e12 + 1, False),
        (50.0, 51.0, True),
    ],
    ids=[
        "NULL equals NULL", "NULL is not 0", "0 is not NULL", "equal", "a last bit",
        "a millionth", "a last bit of a large number", "another value",
    ],
)  # fmt: skip
def test_what_counts_as_different(
    stored: float | None, computed: float | None, differs: bool
) -> None:
    expected = {"x": (stored, computed)} if differs else {}
    assert differences({"x": stored}, {"x": computed}) == expected


def test_a_column_that_is_not_stored_differs() -> None:
    assert differences({}, {"x": 1.0}) == {"x": (None, 1.0)}
