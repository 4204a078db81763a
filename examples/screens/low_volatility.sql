-- Low volatility: large companies whose price moves little (at most 18 % a year by the last 30 returns), and not downwards.
-- Change it: the share of 18; market_cap_usd >= 1e9 for more; AND dividend_yield >= 0.02 for those that pay meanwhile.
SELECT ticker, name, sector, currency, last_price, volatility, sma_200, dividend_yield, market_cap_usd, last_bar, quality_flags
FROM financial_screener.v_screener
WHERE volatility > 0 AND volatility <= 18      -- 0: nobody trades it
  AND market_cap_usd >= 5e9
  AND last_price > sma_200
  AND NOT is_stale
ORDER BY volatility, ticker
LIMIT 100;
