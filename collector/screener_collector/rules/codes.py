"""Core: which bars of an asset may be another company's, as its code was given away. No I/O.

What is asked for by a code is of whoever has it then. Until the last list that shows it as the
asset's all is its own; what came later, until the list that shows it as another's, is either's.
"""

from collections.abc import Mapping
from datetime import date, timedelta

import numpy as np

from screener_collector.rules.model import Finding, Parameters, Series

CODE_REUSED = "code_reused"


def judge_code(
    bars: Series, own_to: date, closes_then: Mapping[date, float], parameters: Parameters
) -> Finding | None:
    """The bars of which it is not known whose they are; None where there is none.

    `own_to`: the last session that had closed when a list showed the code as the asset's.
    `closes_then`: by day the close that was stored then, of bars that later answers have changed.
    Where many of these differ, a whole history of another company came, and all bars are doubtful.
    """
    tolerance = parameters.value(CODE_REUSED, "tolerance")
    changed = np.array(
        [
            abs(close - closes_then.get(day, close)) > tolerance * close
            for day, close in zip(bars.dates.tolist(), bars.close.tolist(), strict=True)
        ],
        np.bool_,
    )
    own = bars.dates <= np.datetime64(own_to)
    share = parameters.value(CODE_REUSED, "share")
    if np.count_nonzero(own & changed) > share * np.count_nonzero(own):
        doubtful = np.ones(len(bars), np.bool_)
    else:
        doubtful = ~own | changed
    if not doubtful.any():
        return None
    which = np.flatnonzero(doubtful)
    since = own_to + timedelta(days=1)
    return Finding(
        CODE_REUSED,
        parameters.severity(CODE_REUSED),
        since,
        max(since, bars.dates[-1].item()),
        float(len(which)),
        0.0,
        f"{len(which)} bars may be of the company that has its code now, as they came or changed"
        f" after the last list that shows the code as this one's, of the end of {own_to}",
        which,
    )
