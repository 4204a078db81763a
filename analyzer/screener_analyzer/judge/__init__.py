"""Core: the judge: what a stored row must hold, computed a second time, asset by asset over the
whole stored history, by `ta` itself and, where `ta` has no class, by numpy from the definition.

Shares no code with the kernels. One number a column, of the last bar: `judged` says what it must
be, `deviations` how far a stored row is from that.
"""

from screener_analyzer.bars import Benchmark
from screener_analyzer.judge.definitions import UNDECIDED
from screener_analyzer.judge.history import History
from screener_analyzer.judge.verdict import COLUMNS, deviations, judged

__all__ = ["COLUMNS", "UNDECIDED", "Benchmark", "History", "deviations", "judged"]
