-- What is stored of assets after bars of them were set aside or came back.
UPDATE financial_screener.asset_processing_state AS state
SET prices_changed_at = clock_timestamp(), prices_first_date = bars.first_date, prices_last_date = bars.last_date
FROM unnest(%(asset_ids)s::integer[]) AS changed (asset_id)
CROSS JOIN LATERAL (
    SELECT min(bar.date) AS first_date, max(bar.date) AS last_date
    FROM financial_screener.stock_prices AS bar WHERE bar.asset_id = changed.asset_id
) AS bars
WHERE state.asset_id = changed.asset_id
