-- Of assets with a state, whether bars of them are stored. The state knows of most; where it says that there are none, one look decides.
SELECT state.asset_id,
       state.prices_last_date IS NOT NULL
       OR (SELECT true FROM financial_screener.stock_prices AS bar WHERE bar.asset_id = state.asset_id LIMIT 1) IS NOT NULL AS has_bars
FROM financial_screener.asset_processing_state AS state
WHERE state.asset_id = ANY (%(asset_ids)s::integer[])
