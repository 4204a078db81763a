-- What is carried of assets, where all of it was computed. NaN: not known.
SELECT state.asset_id, state.last_bar, state.read_at,
       ARRAY[coalesce(obv, 'NaN'), coalesce(adi, 'NaN'), coalesce(vpt, 'NaN'), coalesce(nvi, 'NaN'), coalesce(first_close, 'NaN')]
FROM financial_screener.indicator_states AS state
WHERE state.asset_id = ANY (%(asset_ids)s::integer[]) AND state.execution_id IS NOT NULL
