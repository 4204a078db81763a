-- Judges what the run has got of the slice's exchanges against other sources.
SELECT financial_screener.judge_across(%(execution_id)s::text, array_agg(DISTINCT item.exchange_id)) AS findings
FROM financial_screener.plan_items AS item
WHERE item.execution_id = %(execution_id)s::text AND item.group_name = %(slice)s::text
HAVING count(*) > 0
