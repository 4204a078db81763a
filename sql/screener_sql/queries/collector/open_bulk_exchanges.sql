-- Exchanges of the slice with bulk fetches that are open, or whose items are.
SELECT exchange_id FROM financial_screener.plan_fetches
WHERE execution_id = %(execution_id)s::text AND group_name = %(slice)s::text AND kind LIKE 'bulk%%' AND state IN ('planned', 'claimed')
UNION
SELECT exchange_id FROM financial_screener.plan_items
WHERE execution_id = %(execution_id)s::text AND group_name = %(slice)s::text AND way = 'bulk' AND state = 'planned'
ORDER BY exchange_id
