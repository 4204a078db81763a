-- Of each choice of bulk days the day since which they serve: assets that are known up to it, or later, lack no other session. 'infinity'
-- where nothing goes by bulk. choices: [{"exchange_id", "kind", "sessions", "until"}]
SELECT choice.exchange_id, choice.kind,
       CASE WHEN choice.sessions = 0 THEN 'infinity' ELSE coalesce((
           SELECT earlier.session FROM financial_screener.exchange_sessions AS earlier
           WHERE earlier.exchange_id = choice.exchange_id AND earlier.session <= choice.until
           ORDER BY earlier.session DESC OFFSET choice.sessions LIMIT 1
       ), '0001-01-01')::text END
FROM jsonb_to_recordset(%(choices)s::jsonb) AS choice (exchange_id smallint, kind text, sessions integer, until date)
