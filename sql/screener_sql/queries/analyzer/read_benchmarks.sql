-- The bars of exchanges' benchmarks in a range of days, packed as `read_bars` packs them.
SELECT exchange.id,
       string_agg(
           date_send(bar.date) || float8send(bar.open) || float8send(bar.high) || float8send(bar.low) || float8send(bar.close)
               || float8send(bar.adj_close) || int8send(bar.volume),
           ''::bytea
       )
FROM financial_screener.exchanges AS exchange
JOIN financial_screener.assets AS benchmark ON benchmark.ticker = exchange.benchmark AND benchmark.kind = 'index'
JOIN financial_screener.stock_prices AS bar ON bar.asset_id = benchmark.id
WHERE exchange.id = ANY (%(exchange_ids)s::integer[]) AND bar.date >= %(first)s::date AND bar.date <= %(until)s::date
GROUP BY exchange.id
