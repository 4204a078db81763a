"""Rows in Postgres' binary format, in and out."""

import struct

import numpy as np
import pytest

from screener_analyzer.binary import PACKED, encode, last, unpack


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


def test_rows_are_encoded_as_copy_wants_them() -> None:
    encoded = encode(
        [np.array([1, 2], dtype=np.int32), np.array([0.5, np.nan]), np.array([7.0, 8.0])]
    )
    rows = struct.pack(">hiiididi", 4, 4, 1, 8, 0.5, 8, 7.0, -1) + struct.pack(
        ">hiiididi", 4, 4, 2, 8, np.nan, 8, 8.0, -1
    )
    assert b"".join(encoded) == b"PGCOPY\n\xff\r\n\0" + bytes(8) + rows + b"\xff\xff"


def test_a_column_of_json_comes_last() -> None:
    encoded = encode([np.array([1, 2, 3], dtype=np.int32)], [b'{"a": 1}', None, b"{}"])
    rows = (
        struct.pack(">hiii", 2, 4, 1, 9) + b'\x01{"a": 1}'
        + struct.pack(">hiii", 2, 4, 2, -1)
        + struct.pack(">hiii", 2, 4, 3, 3) + b"\x01{}"
    )  # fmt: skip
    assert b"".join(encoded) == b"PGCOPY\n\xff\r\n\0" + bytes(8) + rows + b"\xff\xff"
