-- Value: cheap against earnings and book value, and earning well on it all the same, so that not every cheap ruin is in.
-- Change it: a P/E below 8 and 0.8 of book value for deep value; forward_pe or enterprise_value_ebitda instead of pe_ratio.
SELECT ticker, name, sector, currency, last_price, pe_ratio, price_book_mrq, return_on_equity_ttm, market_cap_usd, last_bar
FROM financial_screener.v_screener
WHERE pe_ratio > 0 AND pe_ratio <= 12          -- a loss has no P/E, or one below zero
  AND price_book_mrq > 0 AND price_book_mrq <= 1.5
  AND return_on_equity_ttm >= 0.08             -- a fraction: 8 %
  AND NOT is_stale AND NOT is_flagged
ORDER BY pe_ratio, ticker
LIMIT 100;
