-- Says in the run's message which of the named symbols no asset has.
UPDATE financial_screener.slices AS slice
SET notes = slice.notes || format('spec.symbols: no asset is known here by %%s.', unknown.codes)
FROM (
    SELECT string_agg(wanted.code, ', ' ORDER BY wanted.code) AS codes
    FROM unnest(%(symbols)s::text[]) AS wanted (code)
    WHERE NOT EXISTS (
        SELECT
        FROM financial_screener.plan_items AS item
        JOIN financial_screener.assets AS asset ON asset.id = item.asset_id
        WHERE item.execution_id = %(execution_id)s::text AND asset.code = wanted.code
    )
) AS unknown
WHERE slice.execution_id = %(execution_id)s::text AND slice.kind = 'indicators' AND unknown.codes IS NOT NULL
