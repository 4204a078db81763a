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
       paid.amount * rate.rate AS amount,
       action.currency IS NOT NULL AND asset.currency IS NOT NULL AS sure,
       unit.of_dividend <> unit.of_asset AS converted,
       state.prices_refreshed_at
FROM open
JOIN financial_screener.corporate_actions AS action
    ON action.asset_id = open.asset_id AND action.withdrawn_at IS NULL
    AND action.ex_date > coalesce(open.before_date, open.ex_date - 1) AND action.ex_date <= coalesce(open.after_date, open.ex_date)
JOIN financial_screener.assets AS asset ON asset.id = action.asset_id
JOIN financial_screener.asset_processing_state AS state ON state.asset_id = action.asset_id
LEFT JOIN financial_screener.currency_units AS listed ON listed.code = asset.currency
LEFT JOIN financial_screener.currency_units AS stated ON stated.code = action.currency
CROSS JOIN LATERAL (
    SELECT coalesce(listed.currency, asset.currency, stated.currency, action.currency, '') AS of_asset,
           coalesce(stated.currency, action.currency, listed.currency, asset.currency, '') AS of_dividend,
           coalesce(listed.per_major, CASE WHEN asset.currency IS NULL THEN stated.per_major END, 1)::double precision
           / coalesce(stated.per_major, CASE WHEN action.currency IS NULL THEN listed.per_major END, 1) AS scale
) AS unit
CROSS JOIN LATERAL (
    SELECT unit.scale * coalesce(
        action.unadjusted_dividend,
        action.dividend * coalesce((
            SELECT exp(sum(ln(later.split_new / later.split_old))) FROM financial_screener.corporate_actions AS later
            WHERE later.asset_id = action.asset_id AND later.kind = 'split' AND later.ex_date > action.ex_date
              AND later.withdrawn_at IS NULL
        ), 1)
    ) AS amount
) AS paid
CROSS JOIN LATERAL (
    SELECT CASE WHEN unit.of_dividend = unit.of_asset THEN 1
                ELSE financial_screener.usd_per(unit.of_dividend, action.ex_date)
                     / financial_screener.usd_per(unit.of_asset, action.ex_date) END AS rate
) AS rate
ORDER BY action.asset_id, action.ex_date, action.kind, open.before_date
