-- Assets that the list no longer has; their bars are kept.
UPDATE financial_screener.assets SET listed = false, delisted_at = now() WHERE id = ANY (%(asset_ids)s::integer[])
