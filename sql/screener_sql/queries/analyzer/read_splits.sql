-- The splits that the stored volumes of assets are adjusted for: day and how many new shares an old one became.
SELECT action.asset_id, action.ex_date, action.split_new / action.split_old
FROM financial_screener.corporate_actions AS action
WHERE action.asset_id = ANY (%(asset_ids)s::integer[]) AND action.kind = 'split' AND action.withdrawn_at IS NULL
  AND action.split_new > 0 AND action.split_old > 0
  AND action.ex_date <= (SELECT max(price.date) FROM financial_screener.stock_prices AS price WHERE price.asset_id = action.asset_id)
