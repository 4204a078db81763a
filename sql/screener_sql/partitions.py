"""Partitions of tables that have one a year, by the names that `ensure_partitions` gives them."""

from psycopg.sql import Identifier

FIRST_YEAR = 2000
"""Rows before it share a partition."""


def partition_of(table: str, year: int) -> Identifier:
    """That of a table of the schema in which rows of this year are."""
    part = year if year >= FIRST_YEAR else f"before_{FIRST_YEAR}"
    return Identifier("financial_screener", f"{table}_{part}")
