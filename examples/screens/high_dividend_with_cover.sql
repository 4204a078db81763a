-- High dividend with cover: a yield of 4 % and more that takes at most three quarters of the earnings, of companies that are not tiny.
-- A yield above 15 % is mostly a price that has crashed, or a special dividend that does not come again.
-- Change it: payout_ratio <= 0.5 for safer ones; forward_dividend_yield instead of dividend_yield; AND return_12m > -20 for those whose
-- yield does not come from a falling price.
SELECT ticker, name, sector, currency, last_price, dividend_yield, payout_ratio, ex_dividend_date, return_12m, market_cap_usd, last_bar
FROM financial_screener.v_screener
WHERE dividend_yield >= 0.04 AND dividend_yield <= 0.15   -- fractions: 4 % to 15 %
  AND payout_ratio > 0 AND payout_ratio <= 0.75
  AND market_cap_usd >= 1e9
  AND NOT is_stale AND NOT is_flagged
ORDER BY dividend_yield DESC, ticker
LIMIT 100;
