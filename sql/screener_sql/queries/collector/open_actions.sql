-- The splits and dividends of assets that the stored bars are not known to show, each with the bars before and after it and with all
-- else that happened between these. amount: a dividend as paid then, in the unit of the asset's closes; NULL without an exchange rate.
WITH open AS (
    SELECT action.asset_id, action.ex_date,
           before.date AS before_date, before.close AS before_close, before.adj_close AS before_adjusted,
           after.date AS after_date, after.close AS after_close, after.adj_close AS after_adjusted
    FROM financial_screener.corporate_actions AS action
    LEFT JOIN LATERAL (
        SELECT bar.date, bar.close, bar.adj_close FROM financial_screener.stock_prices AS bar
        WHERE bar.asset_id = action.asset_id AND bar.date BETWEEN action.ex_date - 366 AND action.ex_date - 1
        ORDER BY bar.date DESC LIMIT 1
    ) AS before ON true
    LEFT JOIN LATERAL (
        SELECT bar.date, bar.close, bar.adj_close FROM financial_screener.stock_prices AS bar
        WHERE bar.asset_id = action.asset_id AND bar.date BETWEEN action.ex_date AND action.ex_date + 366
        ORDER BY bar.date LIMIT 1
    ) AS after ON true
    WHERE action.asset_id = ANY (%(asset_ids)s::integer[]) AND action.confirmed_at IS NULL AND action.withdrawn_at IS NULL
)
SELECT DISTINCT ON (action.asset_id, action.ex_date, action.kind)
       action.asset_id, action.ex_date, action.kind, action.split_new, action.split_old, action.first_seen_at,
       action.confirmed_at IS NULL AS open, action.checked_sessions,
       open.before_date, open.before_close, open.before_adjusted, open.after_date, open.after_close, open.after_adjusted,
       paid.amount * unit.factor AS amount,
       action.currency IS NOT NULL AND asset.currency IS NOT NULL AS sure,
       unit.converted,
       state.prices_refreshed_at
FROM open
JOIN financial_screener.corporate_actions AS action
    ON action.asset_id = open.asset_id AND action.withdrawn_at IS NULL
    AND action.ex_date > coalesce(open.before_date, open.ex_date - 1) AND action.ex_date <= coalesce(open.after_date, open.ex_date)
JOIN financial_screener.assets AS asset ON asset.id = action.asset_id
JOIN financial_screener.asset_processing_state AS state ON state.asset_id = action.asset_id
CROSS JOIN LATERAL (
    -- A currency that is not said is taken for the other one.
    SELECT coalesce(action.currency, asset.currency) AS of_dividend, coalesce(asset.currency, action.currency) AS of_asset
) AS said
CROSS JOIN LATERAL (
    SELECT CASE WHEN said.of_dividend IS NOT DISTINCT FROM said.of_asset THEN 1
                ELSE financial_screener.convert_money(1, said.of_dividend, said.of_asset, action.ex_date) END AS factor,
           coalesce((SELECT currency FROM financial_screener.unit_of(said.of_dividend))
                    <> (SELECT currency FROM financial_screener.unit_of(said.of_asset)), false) AS converted
) AS unit
CROSS JOIN LATERAL (
    SELECT coalesce(
        action.unadjusted_dividend,
        action.dividend * coalesce((
            SELECT exp(sum(ln(later.split_new / later.split_old))) FROM financial_screener.corporate_actions AS later
            WHERE later.asset_id = action.asset_id AND later.kind = 'split' AND later.ex_date > action.ex_date
              AND later.withdrawn_at IS NULL
        ), 1)
    ) AS amount
) AS paid
ORDER BY action.asset_id, action.ex_date, action.kind, open.before_date
