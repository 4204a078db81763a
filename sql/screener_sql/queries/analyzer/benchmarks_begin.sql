-- The first day of each exchange's benchmark; no row for one without any.
SELECT exchange.id, first.date
FROM financial_screener.exchanges AS exchange
JOIN financial_screener.assets AS benchmark ON benchmark.ticker = exchange.benchmark AND benchmark.kind = 'index'
CROSS JOIN LATERAL (
    SELECT bar.date FROM financial_screener.stock_prices AS bar WHERE bar.asset_id = benchmark.id ORDER BY bar.date LIMIT 1
) AS first
WHERE exchange.id = ANY (%(exchange_ids)s::integer[])
