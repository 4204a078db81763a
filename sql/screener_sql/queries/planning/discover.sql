-- Delta discovery, in one statement: what each asset of the run needs, by its state, its exchange's sessions and the time.
-- wanted: [{"group_name", "group_ordinal", "exchange", "symbols": [..] or null}]; a longer history than was asked for before makes an
-- asset due only when it is longer by a month, so that a window that slides by days does not. What failed lately backs off.
INSERT INTO delta
WITH wanted AS (
    SELECT * FROM jsonb_to_recordset(%(wanted)s::jsonb)
        AS (group_name text, group_ordinal integer, exchange text, symbols text[])
), expected AS (
    SELECT exchange.id AS exchange_id, max(sessions.session) AS session
    FROM wanted
    JOIN financial_screener.exchanges AS exchange ON exchange.code = wanted.exchange
    JOIN financial_screener.exchange_sessions AS sessions ON sessions.exchange_id = exchange.id
    WHERE sessions.closes_at + exchange.publication_delay <= %(now)s::timestamptz
      AND sessions.session <= coalesce(%(as_of)s::date, 'infinity')
    GROUP BY exchange.id
), found AS (
    SELECT wanted.group_name, wanted.group_ordinal, asset.id AS asset_id, asset.exchange_id, asset.ticker,
           expected.session AS expected_to, state.prices_loaded, state.prices_checked_to, state.prices_checked_from,
           state.prices_first_date, state.needs_prices_reprocess, state.fundamentals_loaded, state.fundamentals_loaded_at,
           state.needs_fundamentals_reprocess, state.next_fundamental_refresh, state.fundamental_refresh_frequency,
           coalesce(state.prices_next_attempt_at > %(now)s::timestamptz, false) AS prices_back_off,
           coalesce(state.fundamentals_next_attempt_at > %(now)s::timestamptz, false) AS fundamentals_back_off,
           CASE WHEN wish.always_process THEN 0 ELSE coalesce(wish.priority, 3) END AS unwanted
    FROM wanted
    JOIN financial_screener.exchanges AS exchange ON exchange.code = wanted.exchange
    JOIN financial_screener.assets AS asset ON asset.exchange_id = exchange.id
    JOIN financial_screener.asset_processing_state AS state ON state.asset_id = asset.id
    LEFT JOIN expected ON expected.exchange_id = exchange.id
    LEFT JOIN financial_screener.api_ticker_priority AS wish ON wish.ticker = asset.ticker
    WHERE asset.kind = 'listing'
      AND CASE
              WHEN wanted.symbols IS NULL THEN asset.listed AND asset.type = ANY (%(asset_types)s::text[])
              ELSE asset.code = ANY (wanted.symbols)
          END
), gaps AS (
    SELECT known.exchange_id, known.prices_checked_to, count(sessions.session) AS gap
    FROM (SELECT DISTINCT exchange_id, prices_checked_to, expected_to FROM found) AS known
    LEFT JOIN financial_screener.exchange_sessions AS sessions
        ON sessions.exchange_id = known.exchange_id
        AND sessions.session > known.prices_checked_to AND sessions.session <= known.expected_to
    WHERE known.prices_checked_to IS NOT NULL
    GROUP BY known.exchange_id, known.prices_checked_to
), judged AS (
    SELECT found.*, gaps.gap,
           NOT found.prices_loaded OR found.needs_prices_reprocess OR found.prices_checked_to IS NULL
           OR coalesce(%(history_from)s::date < found.prices_checked_from - 31, false) AS needs_whole_history
    FROM found
    LEFT JOIN gaps ON gaps.exchange_id = found.exchange_id AND gaps.prices_checked_to = found.prices_checked_to
)
SELECT group_name, group_ordinal, asset_id, exchange_id, ticker, expected_to,
       least(%(history_from)s::date, prices_checked_from, prices_first_date),
       prices_loaded,
       'prices' = ANY (%(operations)s::text[]) AND NOT prices_back_off AND (needs_whole_history OR coalesce(gap, 0) > 0),
       CASE WHEN needs_whole_history THEN NULL ELSE gap END,
       'fundamentals' = ANY (%(operations)s::text[]) AND NOT fundamentals_back_off
       AND (needs_fundamentals_reprocess
            OR fundamental_refresh_frequency <> 'never'
               AND (NOT fundamentals_loaded OR next_fundamental_refresh <= (%(now)s::timestamptz AT TIME ZONE 'UTC')::date)),
       prices_back_off OR fundamentals_back_off, unwanted, prices_checked_to, fundamentals_loaded_at
FROM judged
