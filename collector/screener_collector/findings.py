"""Adapter: Postgres: judges bars before they are stored, and keeps every judgement.

A bar that a rule sets aside goes into `quarantined_bars` with its finding, and out of the bars if
it is there. A later answer confirms a finding or releases it; a person's word (`accepted`) holds.
All in the transaction of whoever stores the bars, with the assets' states locked.
"""

import asyncio
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray

from screener_collector.bars import BadBar, Bars, Sorted, Tails
from screener_collector.rules.batch import Batch, BatchVerdict, Before, judge_batch
from screener_collector.rules.codes import judge_code
from screener_collector.rules.day import judge_day, unchanged
from screener_collector.rules.model import QUARANTINE, Actions, Finding, Parameters, SeriesContext
from screener_collector.rules.series import judge_series
from screener_collector.store import Cursor, jsonb, run
from screener_collector.storing import read_bars, read_tails, store_bars
from screener_collector.transaction import storable

TAIL_BARS = 20
"""The stored bars that a new one is judged by."""

OF_DAYS = frozenset({"unit_switch", "units_mixed", "return_unexplained", "bar_repeated"})
"""The rules that a session's new bars are judged by."""
_OF_SPLITS = ("split_", "return_")
_OF_ACTIONS = (*_OF_SPLITS, "dividend_", "adjustment_")
_NO_SESSIONS: NDArray[np.datetime64] = np.empty(0, "datetime64[D]")


@dataclass(frozen=True, slots=True)
class NewBars:
    """A session's bars by asset, one each, and the stored bars before them in the same order."""

    session: date
    bars: Mapping[int, Bars]
    tails: Tails
    together: Bars
    """The bars of `bars` one after another."""

    def unchanged(self) -> tuple[int, int]:
        """Of the assets with a traded bar before: how many, and how many have that bar again."""
        return unchanged(self.together, self.tails)


async def rule_parameters(cursor: Cursor) -> Parameters:
    """The numbers of the rules, of the table `data_rules`."""
    return Parameters.of_rows(await run(cursor, "data_rules", {}))


class Judge:
    """The rules as a worker applies them; their numbers and the calendars are read once."""

    def __init__(self, worker_id: int, execution_id: str) -> None:
        self._execution_id = execution_id
        self._me = {"worker_id": worker_id, "execution_id": execution_id}
        self._parameters: Parameters | None = None
        self._sessions: dict[int, NDArray[np.datetime64]] = {}

    async def parameters(self, cursor: Cursor) -> Parameters:
        """Of the table `data_rules`."""
        if self._parameters is None:
            self._parameters = await rule_parameters(cursor)
        return self._parameters

    async def histories(self, cursor: Cursor, came: Mapping[int, Sorted]) -> dict[int, Sorted]:
        """Judges whole histories by asset, records what is found, and sets bars aside.

        The answer has the good bars, and beside the rows that broke a rule the bars that a rule of
        series sets aside: these, and their findings, are recorded already; see `finish`.
        """
        if not came:
            return {}
        series = {asset_id: each.bars for asset_id, each in came.items()}
        aside = await self._judge(cursor, series)
        await self.count(cursor, sum(len(each.bars) + len(each.bad) for each in came.values()))
        return {
            asset_id: Sorted(
                each.bars.take(~aside[asset_id].mask),
                (*each.bad, *aside[asset_id].bad),
            )
            if asset_id in aside
            else each
            for asset_id, each in came.items()
        }

    async def again(self, cursor: Cursor, asset_ids: Collection[int]) -> None:
        """Judges stored histories again, after the splits or dividends of assets changed.

        Those are left alone of which one of the two lists is not known yet: it comes.
        """
        rows = await self._assets(cursor, asset_ids)
        ready = [row["id"] for row in rows if row["splits_known"] and row["dividends_known"]]
        if not ready:
            return
        was_aside: dict[int, list[date]] = {}
        for row in await run(cursor, "days_aside", {"asset_ids": ready}):
            was_aside.setdefault(row["asset_id"], []).append(row["date"])
        series = await read_bars(cursor, "copy_vendor_series", {"asset_ids": ready})
        aside = await self._judge(cursor, series)
        back = {}
        for asset_id, days in was_aside.items():
            if asset_id in series:
                bars = series[asset_id]
                good = np.isin(bars.dates, np.array(days, "datetime64[D]"))
                if asset_id in aside:
                    good &= ~aside[asset_id].mask
                back[asset_id] = bars.take(good)
        await store_bars(cursor, self._execution_id, back)
        if changed := sorted(asset_id for asset_id, bars in back.items() if len(bars)):
            await run(cursor, "restate_bars", {"asset_ids": changed})

    async def new_bars(self, cursor: Cursor, session: date, bars: Mapping[int, Bars]) -> NewBars:
        """A session's bars with what is stored before them; nothing is judged yet."""
        ordered = {asset_id: bars[asset_id] for asset_id in sorted(bars)}
        tails = await read_tails(cursor, list(ordered), TAIL_BARS, session)
        return NewBars(session, ordered, tails, joined(list(ordered.values())))

    async def day(self, cursor: Cursor, new: NewBars) -> dict[int, BadBar]:
        """Judges a session's new bars, records what is found; those that are set aside."""
        if not new.bars:
            return {}
        parameters = await self.parameters(cursor)
        asset_ids = list(new.bars)
        place = {asset_id: at for at, asset_id in enumerate(asset_ids)}
        ratios = np.zeros(len(asset_ids))
        paid = np.zeros(len(asset_ids), np.bool_)
        scope = {"asset_ids": asset_ids, "session": new.session}
        for row in await run(cursor, "actions_of_session", scope):
            if row["ratio"] is None:
                paid[place[row["asset_id"]]] = True
            else:
                ratios[place[row["asset_id"]]] += np.log(row["ratio"])
        judged = judge_day(new.together, new.tails, ratios, paid, parameters)
        found = {asset_ids[at]: findings for at, findings in judged.items()}
        # Only the day is judged: what stands of other days is not touched.
        known = [
            row
            for row in await run(cursor, "known_findings", {"asset_ids": asset_ids})
            if row["date_from"] == new.session and row["rule"] in OF_DAYS
        ]
        aside = await self._record(cursor, new.bars, found, known, frozenset())
        return {asset_id: each.bad[0] for asset_id, each in aside.items()}

    async def batch(
        self, cursor: Cursor, exchange_id: int, session: date, counted: Batch
    ) -> BatchVerdict:
        """Whether a bulk answer is believed, by the days before it."""
        parameters = await self.parameters(cursor)
        scope = {"exchange_id": exchange_id, "session": session}
        before, same = [], []
        for row in await run(cursor, "bulk_days_before", scope):
            if row["session"] == session:
                same.append(Before(row["of_session"], row["asked_at"]))
            else:
                before.append(row["of_session"])
        return judge_batch(counted, before, same, parameters)

    async def note_batch(
        self,
        cursor: Cursor,
        exchange_id: int,
        session: date,
        verdict: BatchVerdict,
        asked_at: datetime,
        rows: Sequence[Mapping[str, Any]],
    ) -> None:
        """A finding of an answer that is not believed, which leaves its `rows` as they came; one
        that is releases the findings of its day."""
        scope = {**self._me, "exchange_id": exchange_id, "session": session}
        if verdict.rule is None:
            await run(cursor, "release_batch", scope)
            return
        parameters = await self.parameters(cursor)
        row = {
            "exchange_id": exchange_id,
            "date_from": session,
            "date_to": session,
            "rule": verdict.rule,
            "severity": parameters.severity(verdict.rule),
            "message": verdict.reason,
        }
        await run(cursor, "upsert_findings", {**self._me, "found": jsonb([row])})
        kept = jsonb([storable(each) for each in rows])
        answer = {**scope, "rule": verdict.rule, "asked_at": asked_at, "rows": kept}
        await run(cursor, "quarantine_batch", answer)

    async def codes(
        self,
        cursor: Cursor,
        own_to: Mapping[int, date],
        closes_then: Mapping[int, Mapping[date, float]],
    ) -> dict[int, int]:
        """Judges stored bars of assets whose codes other companies have; see `judge_code`.

        `own_to`, `closes_then`: by asset. The answer: by asset, of those with one, how many are
        doubtful. With these bars goes what was judged of them, and what is left is judged again.
        """
        parameters = await self.parameters(cursor)
        series = await read_bars(cursor, "copy_vendor_series", {"asset_ids": sorted(own_to)})
        found = {
            asset_id: finding
            for asset_id, bars in series.items()
            if (
                finding := judge_code(
                    bars, own_to[asset_id], closes_then.get(asset_id, {}), parameters
                )
            )
        }
        aside = {
            asset_id: finding
            for asset_id, finding in found.items()
            if finding.severity == QUARANTINE
        }
        # A rule of series may have set some of them aside, and would give them back.
        pairs = [
            (asset_id, day)
            for asset_id, finding in aside.items()
            for day in series[asset_id].dates[finding.bars].tolist()
        ]
        if pairs:
            asset_ids, days = ([pair[at] for pair in pairs] for at in (0, 1))
            await run(cursor, "release_bars", {"asset_ids": asset_ids, "days": days})
        judged = {asset_id: [finding] for asset_id, finding in found.items()}
        await self._record(cursor, series, judged, (), frozenset())
        await self.again(cursor, aside.keys())
        gone = [
            row["id"]
            for row in await run(cursor, "known_findings", {"asset_ids": sorted(aside)})
            if row["scope"] == "series" and row["state"] != "accepted"
            if row["date_from"] >= aside[row["asset_id"]].date_from
            or len(aside[row["asset_id"]].bars) == len(series[row["asset_id"]])
        ]
        if gone:
            await run(cursor, "release_findings", {**self._me, "finding_ids": gone})
        return {asset_id: len(finding.bars) for asset_id, finding in aside.items()}

    async def count(self, cursor: Cursor, bars: int) -> None:
        """So many bars came and were checked, those that broke a rule among them."""
        await run(cursor, "count_checked", {**self._me, "bars": bars})

    async def set_aside(self, cursor: Cursor, bad: Sequence[tuple[int, BadBar]]) -> None:
        """Rows by asset that broke a rule. Their findings come with `finish`."""
        if bad:
            rows = [_bad_row(asset_id, bar, None) for asset_id, bar in bad]
            await run(cursor, "quarantine_bars", {**self._me, "bad": jsonb(rows)})

    async def finish(self, cursor: Cursor, asset_ids: Collection[int]) -> None:
        """After bars of assets were stored and rows set aside: each of these has its finding."""
        if asset_ids:
            scope = {**self._me, "asset_ids": sorted(asset_ids)}
            await run(cursor, "settle_rows", scope)

    # What is needed to judge

    async def _assets(self, cursor: Cursor, asset_ids: Collection[int]) -> list[dict[str, Any]]:
        return await run(cursor, "judged_assets", {"asset_ids": sorted(asset_ids)})

    async def _sessions_of(self, cursor: Cursor, exchange_id: int) -> NDArray[np.datetime64]:
        if exchange_id not in self._sessions:
            rows = await run(cursor, "judged_sessions", {"exchange_id": exchange_id})
            self._sessions[exchange_id] = np.array(
                [row["session"] for row in rows], "datetime64[D]"
            )
        return self._sessions[exchange_id]

    async def _contexts(
        self, cursor: Cursor, asset_ids: Collection[int]
    ) -> dict[int, SeriesContext]:
        acted: dict[int, list[tuple[date, float, float, float]]] = {}
        converted: dict[int, list[date]] = {}
        for row in await run(cursor, "judged_actions", {"asset_ids": sorted(asset_ids)}):
            acted.setdefault(row["asset_id"], []).append(
                (row["ex_date"], *(_number(row[name]) for name in ("ratio", "raw", "adjusted")))
            )
            if row["converted"]:
                converted.setdefault(row["asset_id"], []).append(row["ex_date"])
        contexts = {}
        for row in await self._assets(cursor, asset_ids):
            asset_id = row["id"]
            contexts[asset_id] = SeriesContext(
                Actions.of(acted.get(asset_id, ()), converted.get(asset_id, ())),
                await self._sessions_of(cursor, row["exchange_id"])
                if row["has_sessions"]
                else _NO_SESSIONS,
                row["splits_known"],
                row["dividends_known"],
                row["calendar_known"],
            )
        return contexts

    # Recording

    async def _judge(self, cursor: Cursor, series: Mapping[int, Bars]) -> dict[int, "_Aside"]:
        parameters = await self.parameters(cursor)
        contexts = await self._contexts(cursor, series)
        # A series that is wrong all over takes a second; requests go on meanwhile.
        found = await asyncio.to_thread(_judge_all, series, contexts, parameters)
        known = await run(cursor, "known_findings", {"asset_ids": sorted(series)})
        unjudged = frozenset(
            (asset_id, prefix)
            for asset_id, context in contexts.items()
            for prefix in _OF_ACTIONS
            if not (
                context.splits_known
                if prefix in _OF_SPLITS
                else context.splits_known and context.dividends_known
            )
        )
        return await self._record(cursor, series, found, known, unjudged)

    async def _record(
        self,
        cursor: Cursor,
        series: Mapping[int, Bars],
        found: Mapping[int, Sequence[Finding]],
        known: Iterable[Mapping[str, Any]],
        unjudged: frozenset[tuple[int, str]],
    ) -> dict[int, "_Aside"]:
        """`known`: findings of the assets; those of rules that were judged and found nothing now
        are released, except of `unjudged` (asset and the rule's prefix)."""
        accepted = set()
        gone = []
        keys = {
            (asset_id, finding.rule, finding.date_from)
            for asset_id, findings in found.items()
            for finding in findings
        }
        for row in known:
            key = (row["asset_id"], row["rule"], row["date_from"])
            if row["state"] == "accepted":
                accepted.add(key)
            elif (
                row["scope"] == "series"
                and row["rule"] != "action_not_applied"
                and key not in keys
                and len(series[key[0]])
                and series[key[0]].first_date <= row["date_from"] <= series[key[0]].last_date
                and not any(
                    (key[0], prefix) in unjudged and row["rule"].startswith(prefix)
                    for prefix in _OF_ACTIONS
                )
            ):
                gone.append(row["id"])
        standing = [
            (asset_id, finding)
            for asset_id, findings in sorted(found.items())
            for finding in findings
            if (asset_id, finding.rule, finding.date_from) not in accepted
        ]
        if gone:
            await run(cursor, "release_findings", {**self._me, "finding_ids": gone})
        if not standing:
            return {}
        rows = [_finding_row(asset_id, finding) for asset_id, finding in standing]
        ids = {
            (row["asset_id"], row["rule"], row["date_from"]): row["id"]
            for row in await run(cursor, "upsert_findings", {**self._me, "found": jsonb(rows)})
        }
        aside: dict[int, _Aside] = {}
        bad = []
        for asset_id, finding in standing:
            if finding.severity != QUARANTINE or not len(finding.bars):
                continue
            bars = series[asset_id]
            each = aside.setdefault(asset_id, _Aside(np.zeros(len(bars), np.bool_), []))
            for at in finding.bars.tolist():
                if not each.mask[at]:
                    each.mask[at] = True
                    each.bad.append(BadBar(bars.dates[at].item(), finding.rule, row_of(bars, at)))
                    finding_id = ids[asset_id, finding.rule, finding.date_from]
                    bad.append(_bad_row(asset_id, each.bad[-1], finding_id))
        if bad:
            await run(cursor, "quarantine_bars", {**self._me, "bad": jsonb(bad)})
            await self.unstore(cursor, [(row["asset_id"], row["date"]) for row in bad])
        return aside

    async def unstore(self, cursor: Cursor, bars: Sequence[tuple[int, date]]) -> None:
        """Takes the bars of assets' days, where they are stored, out of `stock_prices`."""
        if not bars:
            return
        days = [day for _, day in bars]
        scope = {
            "asset_ids": [asset_id for asset_id, _ in bars],
            "days": days,
            "first": min(days),
            "last": max(days),
        }
        if gone := await run(cursor, "unstore_bars", scope):
            await run(cursor, "restate_bars", {"asset_ids": [row["asset_id"] for row in gone]})


def _judge_all(
    series: Mapping[int, Bars], contexts: Mapping[int, SeriesContext], parameters: Parameters
) -> dict[int, list[Finding]]:
    """By asset what its series has, where it has something."""
    return {
        asset_id: findings
        for asset_id, bars in series.items()
        if (findings := judge_series(bars, contexts[asset_id], parameters))
    }


@dataclass(slots=True)
class _Aside:
    """Bars of an asset that are set aside."""

    mask: NDArray[np.bool_]
    bad: list[BadBar]


def row_of(bars: Bars, at: int) -> dict[str, Any]:
    """A bar as the vendor's row has it."""
    return {
        "date": bars.dates[at].item().isoformat(),
        "open": float(bars.open[at]),
        "high": float(bars.high[at]),
        "low": float(bars.low[at]),
        "close": float(bars.close[at]),
        "adjusted_close": float(bars.adjusted_close[at]),
        "volume": int(bars.volume[at]),
    }


def joined(parts: Sequence[Bars]) -> Bars:
    """The bars of several assets one after another."""
    if not parts:
        return Bars.empty()
    return Bars(
        *(np.concatenate(columns) for columns in zip(*(p.columns() for p in parts), strict=True))
    )


def _number(value: float | None) -> float:
    return float("nan") if value is None else float(value)


def _finding_row(asset_id: int, finding: Finding) -> dict[str, Any]:
    return {
        "asset_id": asset_id,
        "date_from": finding.date_from,
        "date_to": finding.date_to,
        "rule": finding.rule,
        "severity": finding.severity,
        "measured": finding.measured,
        "expected": finding.expected,
        "message": finding.message,
    }


def _bad_row(asset_id: int, bar: BadBar, finding_id: int | None) -> dict[str, Any]:
    return {
        "asset_id": asset_id,
        "date": bar.date,
        "rule": bar.rule,
        "bar": storable(bar.row),
        "finding_id": finding_id,
    }
