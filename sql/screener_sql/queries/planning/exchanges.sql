-- The exchanges of a run: the newest sessions to expect of their prices and of their actions, the rows of their symbol lists, their benchmarks,
-- and the session whose volumes have become final without having been asked for since. Dates as text, for one may be missing: -infinity.
SELECT exchange.id, exchange.code, exchange.listed_rows, exchange.benchmark,
       coalesce(expected.prices_to, '-infinity')::text AS prices_to,
       coalesce(expected.actions_to, '-infinity')::text AS actions_to,
       correction.session AS correction
FROM financial_screener.exchanges AS exchange
JOIN financial_screener.expected_sessions(%(now)s::timestamptz, %(as_of)s::date) AS expected ON expected.exchange_id = exchange.id
LEFT JOIN LATERAL (
    SELECT final.session, final.closes_at
    FROM financial_screener.exchange_sessions AS final
    -- The first condition is asked once, and keeps those whose volumes change no more from being read through to their first session.
    WHERE exchange.volumes_final_after IS NOT NULL AND final.exchange_id = exchange.id
      AND final.closes_at + exchange.volumes_final_after <= %(now)s::timestamptz
    ORDER BY final.session DESC LIMIT 1
) AS correction ON %(as_of)s::date IS NULL AND NOT EXISTS (
    SELECT FROM financial_screener.bulk_days AS asked
    WHERE asked.exchange_id = exchange.id AND asked.session = correction.session AND asked.kind = 'bulk_prices'
      AND asked.asked_at >= correction.closes_at + exchange.volumes_final_after
)
WHERE exchange.code = ANY (%(exchanges)s::text[])
ORDER BY exchange.id
