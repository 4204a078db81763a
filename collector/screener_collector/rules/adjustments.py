"""Core: splits and dividends against closes and adjusted closes. No I/O, no clock.

k = adjusted close / close changes at actions alone: k before the ex-date over k at it is 1 / ratio
for a split, 1 - D / close before for a dividend, their product for both. A split must step in the
price too; where the two contradict each other, the adjusted closes between are wrong, which is
proof. A dividend proves nothing: what does not fit is flagged.
"""

import math
from dataclasses import dataclass, field

import numpy as np

from screener_collector.rules.model import (
    Actions,
    Days,
    Finding,
    Floats,
    Indexes,
    Parameters,
    Series,
    SeriesContext,
)
from screener_collector.rules.numbers import half_units, quantile, usual_move, volume_step

_CAUSE_BARS = 5
_WINDOW = 20
"""Bars on either side of a step that it is measured over."""
_FAR = math.log(30)
_FLOOR = 2e-5
"""A step of k of less is never one."""
_MOST = 1e30
"""Of a product of ratios: more is nonsense, and would soon be beyond all numbers."""


@dataclass(slots=True)
class _Event:
    """The actions that take effect at one bar. `ratio`: of its splits together, else 1."""

    at: int
    ratio: float = 1.0
    dividends: list[int] = field(default_factory=list)
    """Indexes into the actions."""


@dataclass(slots=True)
class _Cause:
    """A fault of a split: the bar of its record, and others at which it shows."""

    rule: str
    at: int
    ratio: float
    breaks: list[int] = field(default_factory=list)

    def spans(self) -> list[tuple[int, int]]:
        """First and last bars of findings: one where all is close together, else one a place."""
        places = sorted({self.at, *self.breaks})
        spans = [(places[0], places[0])]
        for place in places[1:]:
            if place - spans[-1][0] <= _CAUSE_BARS:
                spans[-1] = (spans[-1][0], place)
            else:
                spans.append((place, place))
        return spans


@dataclass(slots=True)
class _Steps:
    """k, logarithmic: `steps[t]` is ln(k before / k at bar t), `room[t]` what rounding leaves."""

    k: Floats
    steps: Floats
    room: Floats
    unit: float
    """In the last place of the closes."""

    @classmethod
    def of(cls, bars: Series, moves: Floats, adjusted_moves: Floats) -> "_Steps":
        steps = np.zeros(len(bars))
        np.subtract(moves, adjusted_moves, out=steps[1:])
        k = -np.cumsum(steps)
        half = half_units(bars.close)
        error = half / bars.close
        error += half_units(bars.adjusted_close) / bars.adjusted_close
        room = np.zeros(len(bars))
        room[1:] = error[1:] + error[:-1]
        # Closes are often exact where their column could be rounded: what is seen is the measure.
        # A close that stays says nothing of it.
        moved = np.flatnonzero(moves) + 1
        if len(moved) >= _WINDOW:
            seen = quantile(np.abs(steps[moved]) / room[moved], 0.9)
            room *= min(1.0, 3.0 * seen)
        room += _FLOOR
        return cls(k, steps, room, 2.0 * float(half[-1]))


@dataclass(frozen=True, slots=True)
class _Splits:
    """The splits on record, by date."""

    days: Days
    places: Indexes
    """By split the bar from which it holds."""
    products: list[float]
    """By number of splits left out, oldest first: the product of the others' ratios."""

    @classmethod
    def of(cls, bars: Series, actions: Actions) -> "_Splits":
        which = ~np.isnan(actions.ratio)
        products = [1.0]
        for ratio in actions.ratio[which][::-1].tolist():
            products.append(_product(products[-1], ratio))
        days = actions.ex_dates[which]
        return cls(days, np.searchsorted(bars.dates, days), products[::-1])

    def from_bar(self, at: int) -> float:
        """The product of the ratios that hold from a bar on or later."""
        return self.products[int(np.searchsorted(self.places, at))]

    def after_days(self, days: Days) -> Floats:
        """By day the product of the ratios after it."""
        return np.array(self.products)[np.searchsorted(self.days, days, "right")]


class _Judge:
    """One series; `findings` fills up."""

    def __init__(
        self,
        bars: Series,
        moves: Floats,
        adjusted_moves: Floats,
        context: SeriesContext,
        parameters: Parameters,
    ) -> None:
        self.bars = bars
        self.moves = np.zeros(len(bars))
        self.moves[1:] = moves
        self.context = context
        self.actions = context.actions
        self.parameters = parameters
        self.k = _Steps.of(bars, moves, adjusted_moves)
        self.findings: list[Finding] = []
        self.explained = np.abs(self.k.steps) <= self.k.room
        """Bars into which k does not step, or by what is on record or has its own finding."""
        self.explained[0] = True
        self._event_bars: set[int] = set()
        acted = np.searchsorted(bars.dates, self.actions.ex_dates)
        self._converted = set(acted[self.actions.converted].tolist())
        """Bars at which a converted dividend is paid."""
        self._quiet = self.explained.copy()
        """Bars into which k does not step."""
        self._splits = _Splits.of(bars, context.actions)
        self._apart = self._amounts_apart()
        """By dividend how far its two amounts are apart, logarithmic; NaN without both."""
        self.error = np.zeros(len(bars))
        """By bar: what its step of k is too much, by proof."""
        self._causes: dict[int, _Cause] = {}
        self._too_small: list[tuple[int, float]] = []
        """Dividends not in the adjusted close, which a hundredth of them would not show in."""

    def number(self, rule: str, name: str) -> float:
        return self.parameters.value(rule, name)

    def add(
        self,
        rule: str,
        first: int,
        last: int,
        measured: float | None,
        expected: float | None,
        message: str,
        bars: Indexes | None = None,
    ) -> None:
        self.findings.append(
            Finding(
                rule,
                self.parameters.severity(rule),
                self.bars.dates[first].item(),
                self.bars.dates[last].item(),
                measured,
                expected,
                message,
                np.arange(first, last + 1) if bars is None else bars,
            )
        )

    def day(self, at: int) -> str:
        return str(self.bars.dates[at])

    # The whole

    def run(self) -> list[Finding]:
        if not len(self.actions) and self.explained.all():
            return self.findings
        places = np.searchsorted(self.bars.dates, self.actions.ex_dates)
        plain = self._plain_dividends(places)
        if self.explained.all() and len(plain) == len(places):
            return self._repeated_dividends()
        events = _events(places, self.actions, but=plain, bars=len(self.bars))
        self._event_bars = {event.at for event in events} | set(plain)
        splits = [event for event in events if event.ratio != 1.0]
        for event in events:
            step = self.k.steps[event.at]
            if abs(step - self._expected(event)) <= self.k.room[event.at]:
                self.explained[event.at] = True
        if self.context.splits_known:
            for event in splits:
                self._judge_split(event)
            self._attach_to_splits(events, splits)
            self._proven()
        for event in events:
            if event.dividends:
                self._judge_dividends(event)
        self._judge_too_small()
        self._repeated_dividends()
        self._unexplained()
        return self.findings

    def _plain_dividends(self, places: Indexes) -> Indexes:
        """Bars of single dividends that k shows: nothing more is to be said of them.

        `places`: by action its bar.
        """
        raw = self.actions.raw
        alone = np.ones(len(places), np.bool_)
        alone[1:] &= places[1:] != places[:-1]
        alone[:-1] &= places[1:] != places[:-1]
        which = alone & (places >= 1) & (places < len(self.bars)) & (raw > 0)
        # Two amounts of one dividend that are not in one unit are looked at closely.
        which &= ~(self._apart > _FAR)
        places = places[which]
        share = raw[which] / self.bars.close[places - 1]
        expected = np.log1p(-np.minimum(share, 0.99))
        room = self.k.room[places] - self._shares()[which] * expected
        plain = places[np.abs(self.k.steps[places] - expected) <= room]
        self.explained[plain] = True
        return plain

    def _amounts_apart(self) -> Floats:
        later = np.log(self._splits.after_days(self.actions.ex_dates))
        with np.errstate(invalid="ignore", divide="ignore"):
            apart: Floats = np.abs(np.log(self.actions.raw / self.actions.adjusted) - later)
        # Served without regard to later splits they are one number.
        return np.where(self.actions.raw == self.actions.adjusted, 0.0, apart)

    def _expected(self, event: _Event, *, with_split: bool = True) -> float:
        """The step of k that the actions of an event make by their raw amounts."""
        step = -math.log(event.ratio) if with_split else 0.0
        share = 0.0
        for index in event.dividends:
            raw = self.actions.raw[index]
            if math.isnan(raw):
                raw = self.actions.adjusted[index] * self._splits.from_bar(event.at)
            if not math.isnan(raw):
                share += raw / self.bars.close[event.at - 1]
        return step + (math.log1p(-share) if share < 1.0 else 0.0)

    def _measured(self, at: int) -> float:
        """The step of k into a bar, over the quiet bars on either side of it."""
        quiet = self._quiet
        first = at - 1
        while first > 0 and at - first < _WINDOW and quiet[first] and not self._is_event(first):
            first -= 1
        last = at
        while (
            last + 1 < len(quiet)
            and last - at < _WINDOW
            and quiet[last + 1]
            and not self._is_event(last + 1)
        ):
            last += 1
        return float(self.k.k[first:at].mean() - self.k.k[at : last + 1].mean())

    def _is_event(self, at: int) -> bool:
        return at in self._event_bars

    # Splits

    def _stepped(self, at: int, log_ratio: float, *, apart: float = 0.0) -> bool | None:
        """Whether the price steps by a split into a bar; None: it cannot be told."""
        share = self.number("split_misapplied", "price_share") * abs(log_ratio)
        least = math.log(self.number("split_misapplied", "ratio"))
        moves = self.number("split_misapplied", "moves")
        if abs(log_ratio) < max(least, moves * min(usual_move(self.moves[1:]), 0.3)):
            return None
        if min(self.bars.close[at], self.bars.close[at - 1]) < 10 * self.k.unit:
            return None
        closes = float(self.moves[at]) - apart
        opens = math.log(self.bars.open[at] / self.bars.close[at - 1]) - apart
        if min(abs(closes + log_ratio), abs(opens + log_ratio)) <= share:
            return True
        return False if min(abs(closes), abs(opens)) <= share else None

    def _judge_split(self, event: _Event) -> None:
        at, log_ratio = event.at, math.log(event.ratio)
        paid = self._expected(event, with_split=False)
        room = self.number("split_misapplied", "tolerance") + self.k.room[at]
        # What of the step is not the dividends', however they are shown.
        own = float(self.k.steps[at])
        split = own - paid if abs(own - paid + log_ratio) <= abs(own + log_ratio) else own
        shown = abs(split + log_ratio) <= room
        none = abs(split) <= room + abs(paid)
        twice = abs(split + 2.0 * log_ratio) <= room
        stepped = self._stepped(at, log_ratio, apart=paid)
        if shown and not event.dividends:
            self.explained[at] = True
        elsewhere = None if stepped else self._price_step_near(at, log_ratio)
        if shown and stepped is False:
            if elsewhere is not None:
                self._misdated(event, elsewhere, log_ratio)
            elif volume_step(self.bars.volume, at) < self.number(
                "split_contradicted", "volume_step"
            ):
                self.error[at] += -log_ratio
                self._cause("split_contradicted", at, event.ratio)
            else:
                self._unclear(event, "the price does not step, on a day of much volume")
            return
        if shown:
            return
        if stepped and (none or twice):
            self.explained[at] = True
            if none and len(self.bars) - at <= self.number("split_misapplied", "pending_bars"):
                self._unclear(event, "the adjusted close does not show it yet")
                return
            self.error[at] += log_ratio if none else -log_ratio
            self._cause("split_misapplied", at, event.ratio)
            return
        if none and elsewhere is not None:
            if abs(self.k.steps[elsewhere] + log_ratio) <= room:
                self.explained[elsewhere] = True
                self._unclear(event, f"price and adjusted close show it on {self.day(elsewhere)}")
            else:
                self._misdated(event, elsewhere, log_ratio, at_record=False)
            return
        if none and abs(log_ratio) <= room:
            return
        self.explained[at] = True
        if none and stepped is False:
            self._unclear(event, "neither price nor adjusted close shows it")
        elif none:
            self._unclear(event, "the adjusted close does not show it")
        else:
            self._unclear(event, f"the adjusted close shows {math.exp(-split):g} for one")

    def _unclear(self, event: _Event, what: str) -> None:
        self.add(
            "split_unclear",
            event.at,
            event.at,
            math.exp(-float(self.k.steps[event.at])),
            event.ratio,
            f"split of {event.ratio:g} for one on record: {what}",
            np.array([event.at]),
        )

    def _price_step_near(self, at: int, log_ratio: float) -> int | None:
        """Another bar into which the price steps as by the split."""
        reach = int(self.number("split_misapplied", "search_bars"))
        near = sorted(
            range(max(1, at - reach), min(len(self.bars), at + reach + 1)),
            key=lambda place: abs(place - at),
        )
        for place in near:
            if place != at and not self._is_event(place) and self._stepped(place, log_ratio):
                return place
        return None

    def _misdated(
        self, event: _Event, price_at: int, log_ratio: float, *, at_record: bool = True
    ) -> None:
        """The price steps at one bar and k at the record, or (`at_record` False) nowhere yet."""
        if at_record:
            self.error[event.at] += -log_ratio
        self.error[price_at] += log_ratio
        self.explained[event.at] = True
        self._cause("split_misapplied", event.at, event.ratio, price_at)

    def _cause(self, rule: str, at: int, ratio: float, other: int | None = None) -> None:
        """A fault of the split at a bar; `other`: another bar at which it shows."""
        cause = self._causes.setdefault(at, _Cause(rule, at, ratio))
        if other is not None:
            cause.breaks.append(other)

    def _attach_to_splits(self, events: list[_Event], splits: list[_Event]) -> None:
        """Steps of k of the size of a recorded split where the price does not step: its faults."""
        if not splits:
            return
        room = self.number("split_misapplied", "tolerance")
        least = math.log(self.number("split_misapplied", "ratio"))
        ratios = {event.at: event for event in splits}
        paid = {event.at: event for event in events if event.at not in ratios}
        for at in np.flatnonzero(~self.explained).tolist():
            if at in ratios:
                continue
            step = float(self.k.steps[at])
            if at in paid and abs(step) >= least:
                step -= self._expected(paid[at])
            if abs(step) < least:
                continue
            fitting = [
                event
                for event in splits
                if min(abs(abs(step) - n * abs(math.log(event.ratio))) for n in (1, 2)) <= room
            ]
            # The price moves along: a split that is not on record.
            if not fitting or abs(float(self.moves[at]) - step) <= 0.35 * abs(step):
                continue
            event = min(fitting, key=lambda each: abs(each.at - at))
            self.error[at] += step
            self.explained[at] = True
            self._cause("split_misapplied", event.at, event.ratio, at)

    def _proven(self) -> None:
        """Findings of what splits prove, with all bars whose adjusted close is off by them."""
        if not self._causes:
            return
        # What later steps are too much is in every bar before them.
        off = np.zeros(len(self.bars))
        off[:-1] = np.cumsum(self.error[::-1])[::-1][1:]
        wrong = np.abs(off) > 0.1
        places = np.flatnonzero(wrong)
        for number, cause in enumerate(self._causes.values()):
            # The bars are all the causes' together; the first of them has them.
            bars = places if number == 0 else places[:0]
            for first, last in cause.spans():
                self.add(
                    cause.rule,
                    first,
                    last,
                    math.exp(min(float(off[first - 1]), math.log(_MOST))),
                    1.0,
                    self._sentence(cause, len(places)),
                    bars,
                )
                bars = places[:0]

    def _sentence(self, cause: "_Cause", bars: int) -> str:
        split = f"split of {cause.ratio:g} for one on {self.day(cause.at)}"
        if cause.rule == "split_contradicted":
            return f"{split}: the price does not step; {bars} adjusted closes before are off"
        if not cause.breaks:
            return f"{split}: not or twice in the adjusted close; {bars} bars are off"
        days = ", ".join(self.day(at) for at in sorted(set(cause.breaks)))
        return (
            f"{split}: adjusted close and price break by it against each other on {days};"
            f" {bars} bars are off"
        )

    # Dividends

    def _judge_dividends(self, event: _Event) -> None:
        at = event.at
        if len(event.dividends) != 1:
            # Several of one day cannot be told apart; their sum is judged by `_expected`.
            self.explained[at] = True
            return
        index = event.dividends[0]
        near = slice(max(0, at - _CAUSE_BARS), at + _CAUSE_BARS + 1)
        if self.error[at] != 0.0 or (self.error[near].any() and event.ratio == 1.0):
            # A fault of a split is in the step or the price, and hides what the dividend does.
            self.explained[at] = True
            return
        raw, adjusted = float(self.actions.raw[index]), float(self.actions.adjusted[index])
        before = float(self.bars.close[at - 1])
        split_shown = abs(self.k.steps[at]) > 0.5 * abs(math.log(event.ratio))
        split_step = -math.log(event.ratio) if event.ratio != 1.0 and split_shown else 0.0
        step = float(self.k.steps[at]) - split_step
        implied = -math.expm1(step) * before
        own, later = self._splits.from_bar(at), self._splits.from_bar(at + 1)
        amounts = [
            amount
            for amount in (raw, raw * event.ratio, adjusted * own, adjusted * later)
            if not math.isnan(amount)
        ]
        if not amounts:
            self.explained[at] = True
            return
        # A dividend of nothing explains nothing.
        amounts = [amount for amount in amounts if amount > 0.0]
        if not amounts:
            return
        if any(self._fits(at, step, amount) for amount in amounts):
            self.explained[at] = True
            if self._apart[index] > _FAR:
                self._dividend(
                    "dividend_unit",
                    at,
                    implied,
                    raw if self._fits(at, step, adjusted * own) else adjusted,
                    "the two amounts on record of a dividend of {measured:g} are in two units:"
                    " {expected:g}",
                )
                return
            basis = adjusted * own
            if event.ratio != 1.0 and not math.isnan(adjusted) and not self._fits(at, step, basis):
                per = basis / implied if implied > 0 else math.nan
                if abs(per / event.ratio - 1.0) <= 0.05:
                    self.add(
                        "dividend_mismatch",
                        at,
                        at,
                        implied / own,
                        adjusted,
                        f"dividend {adjusted:g} is on record per share before the split of that"
                        f" day, {implied / own:g} per share after it",
                        np.array([at]),
                    )
            return
        self._mismatch(event, index, amounts, implied, step, before)

    def _shares(self) -> Floats:
        """By action the share of a dividend's step that may differ."""
        return np.where(
            self.actions.converted,
            self.number("dividend_mismatch", "tolerance_converted"),
            self.number("dividend_mismatch", "tolerance"),
        )

    def _fits(self, at: int, step: float, amount: float) -> bool:
        share = amount / float(self.bars.close[at - 1])
        if share >= 1.0 or share <= 0.0:
            return False
        expected = math.log1p(-share)
        return abs(step - expected) <= self._room(at, expected)

    def _room(self, at: int, expected: float) -> float:
        share = self.number(
            "dividend_mismatch", "tolerance_converted" if at in self._converted else "tolerance"
        )
        # Amounts have at most five decimals.
        amount = 5e-6 / float(self.bars.close[at - 1])
        return float(self.k.room[at]) + amount + share * abs(expected)

    def _mismatch(
        self,
        event: _Event,
        index: int,
        amounts: list[float],
        implied: float,
        step: float,
        before: float,
    ) -> None:
        at = event.at
        amount = amounts[0]
        quiet = abs(step) <= self.k.room[at]
        finer = self._measured(at) if event.ratio == 1.0 else step
        factor = self.number("dividend_unit", "factor")
        near = self.number("dividend_unit", "tolerance")
        twice = self.number("dividend_adjusted_twice", "tolerance")
        self.explained[at] = True
        for each in amounts:
            share = each / before
            for times in (factor, 1.0 / factor):
                other = share * times
                if other >= 1.0:
                    continue
                expected = math.log1p(-other)
                seen = finer if abs(expected) < 4.0 * self.k.room[at] else step
                if expected != 0.0 and abs(seen / expected - 1.0) <= near:
                    self._dividend(
                        "dividend_unit", at, -math.expm1(seen) * before, each,
                        "the adjusted close shows {measured:g} of a dividend of {expected:g}:"
                        " one of them is in another unit",
                    )  # fmt: skip
                    return
        if quiet:
            if all(
                abs(math.log1p(-min(each / before, 0.99))) <= 2.0 * self.k.room[at]
                for each in amounts
            ):
                return
            elsewhere = self._dividend_near(at, amounts)
            if elsewhere is not None:
                self.explained[elsewhere] = True
                self._dividend(
                    "dividend_misdated", min(at, elsewhere), amount, amount,
                    f"dividend of {{expected:g}} of {self.day(at)}: the adjusted close shows it on"
                    f" {self.day(elsewhere)}",
                    max(at, elsewhere),
                )  # fmt: skip
                return
            if abs(math.log1p(-min(amount / before / factor, 0.9))) <= 2.0 * self.k.room[at]:
                self._too_small.append((at, amount))
            else:
                self._missing(at, amount)
            return
        for each in amounts:
            share = each / before
            if (
                share < 0.5
                and min(
                    abs(step / (2.0 * math.log1p(-share)) - 1.0),
                    abs(step / math.log1p(-2.0 * share) - 1.0) if share < 0.5 else math.inf,
                )
                <= twice
            ):
                self._dividend(
                    "dividend_adjusted_twice", at, implied, each,
                    "dividend of {expected:g} is in the adjusted close as {measured:g}, twice",
                )  # fmt: skip
                return
        self._dividend(
            "dividend_mismatch", at, implied, amount,
            "dividend of {expected:g} is in the adjusted close as {measured:g}",
        )  # fmt: skip

    def _missing(self, at: int, amount: float) -> None:
        self._dividend(
            "dividend_not_adjusted",
            at,
            0.0,
            amount,
            "dividend of {expected:g} is not in the adjusted close",
        )

    def _judge_too_small(self) -> None:
        """Rounding hides whether they are off by 100 or missing: the other dividends tell."""
        rules = [finding.rule for finding in self.findings]
        for at, amount in self._too_small:
            if rules.count("dividend_unit") > rules.count("dividend_not_adjusted"):
                self._dividend(
                    "dividend_unit",
                    at,
                    0.0,
                    amount,
                    "the adjusted close shows next to nothing of a dividend of {expected:g}, as of"
                    " others that are in another unit",
                )
            else:
                self._missing(at, amount)

    def _dividend_near(self, at: int, amounts: list[float]) -> int | None:
        reach = int(self.number("dividend_misdated", "bars"))
        for place in range(max(1, at - reach), min(len(self.bars), at + reach + 1)):
            if self.explained[place] or self._is_event(place):
                continue
            if any(self._fits(place, float(self.k.steps[place]), each) for each in amounts):
                return place
        return None

    def _dividend(
        self,
        rule: str,
        at: int,
        measured: float,
        expected: float,
        message: str,
        last: int | None = None,
    ) -> None:
        self.add(
            rule,
            at,
            at if last is None else last,
            measured,
            expected,
            message.format(measured=measured, expected=expected),
            np.array([at]),
        )

    def _repeated_dividends(self) -> list[Finding]:
        paid = np.flatnonzero(np.isnan(self.actions.ratio))
        if len(paid) < 2 or not self.context.dividends_known:
            return self.findings
        days = self.actions.ex_dates[paid]
        amounts = np.where(np.isnan(self.actions.raw), self.actions.adjusted, self.actions.raw)[
            paid
        ]
        apart = (days[1:] - days[:-1]).astype(np.int64)
        near = (apart > 0) & (apart <= self.number("dividend_repeated", "days"))
        room = self.number("dividend_repeated", "tolerance") * amounts[1:]
        near &= (amounts[1:] > 0) & (np.abs(amounts[1:] - amounts[:-1]) <= room)
        for at in np.flatnonzero(near).tolist():
            places = np.searchsorted(self.bars.dates, days[at : at + 2])
            if places[0] < 1 or places[1] >= len(self.bars):
                continue
            self.add(
                "dividend_repeated",
                int(places[0]),
                int(places[1]),
                float(amounts[at]),
                float(amounts[at + 1]),
                f"dividend of {amounts[at]:g} is on record on {days[at]} and {days[at + 1]}",
                places,
            )
        return self.findings

    # The rest

    def _unexplained(self) -> None:
        """Steps of k without an action. One finding for all of `days`, at the first of them."""
        places = np.flatnonzero(~self.explained)
        if not len(places):
            return
        least = self.number("adjustment_unexplained", "step")
        ratio = math.log(self.number("split_unrecorded", "ratio"))
        usual = usual_move(self.moves[1:])
        rest = []
        for at in places.tolist():
            step, move = float(self.k.steps[at]), float(self.moves[at])
            if abs(step) >= ratio and abs(move - step) <= max(0.35 * abs(step), usual):
                if self.context.splits_known and not self._is_event(at):
                    self.add(
                        "split_unrecorded",
                        at,
                        at,
                        math.exp(-step),
                        1.0,
                        f"price and adjusted close step as by a split of {math.exp(-step):g} for"
                        " one that is not on record",
                        np.array([at]),
                    )
            elif abs(step) > least + self.k.room[at]:
                rest.append(at)
        if not self.context.dividends_known or not rest:
            return
        days = self.number("adjustment_unexplained", "days")
        paid = bool(np.any(np.isnan(self.actions.ratio)))
        while rest:
            first = rest[0]
            end = self.bars.dates[first] + np.timedelta64(int(days), "D")
            # Without any dividend on record it is their list that lacks: said once.
            together = [at for at in rest if not paid or self.bars.dates[at] < end]
            rest = [at for at in rest if at not in together]
            step = float(self.k.steps[first])
            more = f", and on {len(together) - 1} days after it" if len(together) > 1 else ""
            self.add(
                "adjustment_unexplained",
                first,
                first,
                math.exp(step),
                1.0,
                f"adjusted close over close steps by {math.exp(-step):.6g} without an action{more}",
                np.array(together),
            )


def _product(ratio: float, other: float) -> float:
    """Of two ratios, none of them or of the answer beyond `_MOST`."""
    return min(max(ratio * other, 1.0 / _MOST), _MOST)


def _events(places: Indexes, actions: Actions, *, but: Indexes, bars: int) -> list[_Event]:
    """The actions by the bar from which they hold, `but` those of some bars.

    Those before the second bar have no effect.
    """
    which = np.flatnonzero((places >= 1) & (places < bars) & ~np.isin(places, but))
    events: dict[int, _Event] = {}
    for index, at in zip(which.tolist(), places[which].tolist(), strict=True):
        event = events.setdefault(at, _Event(at))
        if math.isnan(actions.ratio[index]):
            event.dividends.append(index)
        else:
            event.ratio = _product(event.ratio, float(actions.ratio[index]))
    return [events[at] for at in sorted(events)]


def judge_adjustments(
    bars: Series,
    moves: Floats,
    adjusted_moves: Floats,
    context: SeriesContext,
    parameters: Parameters,
) -> list[Finding]:
    """Findings of the rules of splits, dividends and steps of k."""
    if len(bars) < 2:
        return []
    # What k does is within any room: so is every listing that pays no dividends.
    if not len(context.actions) and np.abs(moves - adjusted_moves).max() <= _FLOOR:
        return []
    return _Judge(bars, moves, adjusted_moves, context, parameters).run()
