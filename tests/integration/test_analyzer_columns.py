"""Columns of rows as statements' parameters: Postgres reads what was meant."""

import datetime as dt
import math
from typing import Any

import numpy as np
import psycopg
import pytest
from psycopg.rows import TupleRow
from psycopg.sql import SQL

from screener_analyzer import columns
from screener_analyzer.binary import microseconds_of
from screener_analyzer.columns import Column

pytestmark = pytest.mark.integration

NOON = dt.datetime(2024, 6, 3, 12, 0, 0, 123_456, tzinfo=dt.UTC)
LATER = dt.datetime(1999, 12, 31, 23, 0, tzinfo=dt.timezone(dt.timedelta(hours=-3)))


@pytest.mark.parametrize(
    ("column", "kind", "values"),
    [
        (columns.integers([1, -2, 2**31 - 1]), "integer", [1, -2, 2**31 - 1]),
        (columns.integers(np.array([7], dtype=np.int32)), "integer", [7]),
        (columns.bigints([2**62, -1]), "bigint", [2**62, -1]),
        (columns.floats(np.array([0.1, -math.inf])), "double precision", [0.1, -math.inf]),
        (columns.dates([0, 8_766, -1]), "date",
         [dt.date(2000, 1, 1), dt.date(2024, 1, 1), dt.date(1999, 12, 31)]),
        (columns.moments([microseconds_of(at) for at in (NOON, LATER, NOON)]), "timestamptz",
         [NOON, LATER, NOON]),
        (columns.texts(["", None, "a,\"b\"\\{é}", "NULL"]), "text",
         ["", None, "a,\"b\"\\{é}", "NULL"]),
        (columns.integers([]), "integer", []),
        (columns.texts([]), "text", []),
    ],
    ids=[
        "integers", "of numpy", "bigints", "floats", "dates", "moments", "texts", "none", "no text",
    ],
)  # fmt: skip
def test_postgres_reads_the_values(
    owner: psycopg.Connection[TupleRow], column: Column, kind: str, values: list[Any]
) -> None:
    columns.understood_by(owner)
    row = owner.execute(SQL("SELECT %s::{}[]").format(SQL(kind)), [column]).fetchone()
    assert row == (values,)


def test_not_a_number_stays_one(owner: psycopg.Connection[TupleRow]) -> None:
    columns.understood_by(owner)
    text = "SELECT (%s::float8[])[1] = 'NaN'"
    assert owner.execute(text, [columns.floats([math.nan])]).fetchone() == (True,)
