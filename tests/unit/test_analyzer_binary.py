"""Rows in Postgres' binary format, in and out."""

import struct
from datetime import UTC, datetime

import numpy as np
import pytest

from screener_analyzer.binary import PACKED, encode, last, timestamp, unpack


def packed(*days: int) -> bytes:
    return b"".join(struct.pack(">i5dq", day, day + 0.1, 2, 3, 4, 5, day * 10) for day in days)


def test_packed_bars_are_unpacked() -> None:
    dates, values, lengths = unpack([packed(7, 8), b"", packed(9)])
    assert dates.tolist() == [7, 8, 9]
    assert lengths.tolist() == [2, 0, 1]
    assert values.tolist() == [[7.1, 2, 3, 4, 5, 70], [8.1, 2, 3, 4, 5, 80], [9.1, 2, 3, 4, 5, 90]]
    assert PACKED.itemsize == len(packed(1))


def test_each_assets_bars_ascend_whatever_order_they_came_in() -> None:
    dates, values, lengths = unpack([packed(9, 7, 8), packed(3), packed(2, 1)])
    assert dates.tolist() == [7, 8, 9, 3, 1, 2]
    assert values[:, 5].tolist() == [70, 80, 90, 30, 10, 20]
    assert lengths.tolist() == [3, 1, 2]


def test_nothing_is_unpacked_to_nothing() -> None:
    dates, values, lengths = unpack([])
    assert (len(dates), values.shape, len(lengths)) == (0, (0, 6), 0)


@pytest.mark.parametrize(
    ("bars", "dates", "lengths"),
    [
        (2, [8, 9, 3, 1, 2], [2, 1, 2]),
        (1, [9, 3, 2], [1, 1, 1]),
        (5, [7, 8, 9, 3, 1, 2], [3, 1, 2]),
    ],
    ids=["two of each", "the last of each", "all"],
)
def test_the_last_bars_of_each_asset(bars: int, dates: list[int], lengths: list[int]) -> None:
    kept = last(*unpack([packed(7, 8, 9), packed(3), packed(1, 2)]), bars)
    assert kept[0].tolist() == dates
    assert kept[1][:, 5].tolist() == [day * 10 for day in dates]
    assert kept[2].tolist() == lengths


HEAD = b"PGCOPY\n\xff\r\n\0" + bytes(8)


def test_rows_are_encoded_as_copy_wants_them() -> None:
    encoded = encode(
        [np.array([1, 2], dtype=np.int32), np.array([0.5, -np.inf]), np.array([7.0, 8.0])]
    )
    rows = struct.pack(">hiiidid", 3, 4, 1, 8, 0.5, 8, 7.0) + struct.pack(
        ">hiiidid", 3, 4, 2, 8, -np.inf, 8, 8.0
    )
    assert b"".join(encoded) == HEAD + rows + b"\xff\xff"


def test_what_is_not_a_number_is_null() -> None:
    encoded = encode(
        [np.array([1, 2], dtype=np.int32), np.array([np.nan, 0.5]), np.array([np.nan, np.nan])]
    )
    rows = struct.pack(">hiiii", 3, 4, 1, -1, -1) + struct.pack(">hiiidi", 3, 4, 2, 8, 0.5, -1)
    assert b"".join(encoded) == HEAD + rows + b"\xff\xff"


def test_columns_that_are_alike_in_every_row_follow() -> None:
    when = timestamp(datetime(2026, 11, 20, 12, 0, 0, 5, tzinfo=UTC))
    since = datetime(2026, 11, 20, 12, 0, tzinfo=UTC) - datetime(2000, 1, 1, tzinfo=UTC)
    assert struct.unpack(">q", when) == (round(since.total_seconds()) * 10**6 + 5,)
    numbers = np.array([1, 2], dtype=np.int32)
    rows = b"".join(
        struct.pack(">hiii", 3, 4, n, 8) + when + struct.pack(">i3s", 3, b"run") for n in (1, 2)
    )
    assert b"".join(encode([numbers], [when, b"run"])) == HEAD + rows + b"\xff\xff"


def test_more_rows_than_are_encoded_at_once_come_out_in_order() -> None:
    values = np.arange(2500, dtype=np.float64)
    values[::7] = np.nan
    found = b"".join(encode([values]))[len(HEAD) : -2]
    right = [
        struct.pack(">hi", 1, -1) if np.isnan(value) else struct.pack(">hid", 1, 8, value)
        for value in values
    ]
    assert found == b"".join(right)


def test_the_rows_that_are_wanted_come_in_their_order() -> None:
    fields = [np.arange(4, dtype=np.int32), np.array([0.5, np.nan, 2.5, 3.5])]
    texts = [b"0", None, b"2", b"3"]
    some = np.array([3, 1])
    picked = encode([field[some] for field in fields], json=[texts[number] for number in some])
    assert b"".join(encode(fields, json=texts, chosen=some)) == b"".join(picked)
    assert b"".join(encode(fields, chosen=some[:0])) == HEAD + b"\xff\xff"


def test_no_row_is_encoded_to_nothing() -> None:
    assert b"".join(encode([np.zeros(0)])) == HEAD + b"\xff\xff"


def test_a_column_of_json_comes_last() -> None:
    encoded = encode(
        [np.array([1, 2, 3], dtype=np.int32), np.array([0.5, np.nan, np.nan])],
        json=[b'{"a": 1}', None, b"{}"],
    )
    rows = (
        struct.pack(">hiiidi", 3, 4, 1, 8, 0.5, 9) + b'\x01{"a": 1}'
        + struct.pack(">hiiii", 3, 4, 2, -1, -1)
        + struct.pack(">hiiii", 3, 4, 3, -1, 3) + b"\x01{}"
    )  # fmt: skip
    assert b"".join(encoded) == HEAD + rows + b"\xff\xff"
