-- The splits and dividends of assets that are recorded for a session.
SELECT asset_id, split_new / split_old AS ratio FROM financial_screener.corporate_actions
WHERE asset_id = ANY (%(asset_ids)s::integer[]) AND ex_date = %(session)s::date AND withdrawn_at IS NULL
