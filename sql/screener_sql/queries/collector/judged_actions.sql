-- The splits and dividends of assets, dividends in the listing's unit: as paid then, and adjusted for later splits.
SELECT action.asset_id, action.ex_date, action.split_new / action.split_old AS ratio,
       action.unadjusted_dividend * money.factor AS raw, action.dividend * money.factor AS adjusted, money.converted
FROM financial_screener.corporate_actions AS action
JOIN financial_screener.assets AS asset ON asset.id = action.asset_id
CROSS JOIN LATERAL (
    -- A currency that is not said is taken for the other one, as where actions are awaited.
    SELECT CASE WHEN action.currency IS NULL OR asset.currency IS NULL OR action.currency = asset.currency THEN 1
                ELSE financial_screener.convert_money(1, action.currency, asset.currency, action.ex_date) END AS factor,
           coalesce((SELECT currency FROM financial_screener.unit_of(action.currency))
                    <> (SELECT currency FROM financial_screener.unit_of(asset.currency)), false) AS converted
) AS money
WHERE action.asset_id = ANY (%(asset_ids)s::integer[]) AND action.withdrawn_at IS NULL
ORDER BY action.asset_id, action.ex_date
