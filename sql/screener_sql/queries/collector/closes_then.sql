-- Closes of assets' bars that runs have changed which began after a moment: as they were before the first of these.
SELECT DISTINCT ON (revision.asset_id, revision.date) revision.asset_id, revision.date, revision.old_close AS close
FROM unnest(%(asset_ids)s::integer[], %(moments)s::timestamptz[]) AS asked (asset_id, own_at)
JOIN financial_screener.price_revisions AS revision
    ON revision.asset_id = asked.asset_id AND revision.old_close IS NOT NULL
JOIN financial_screener.slices AS preflight
    ON preflight.execution_id = revision.execution_id AND preflight.kind = 'preflight' AND preflight.started_at > asked.own_at
ORDER BY revision.asset_id, revision.date, revision.revised_at
