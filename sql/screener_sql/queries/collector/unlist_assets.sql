-- Assets that the list no longer has; their bars are kept.
UPDATE financial_screener.assets
SET listed = false, delisted_at = now()
WHERE exchange_id = %(exchange_id)s::smallint AND listed AND NOT code = ANY (%(codes)s::text[])
