-- Assets that have left their lists and that the vendor has by no code that is known: by theirs it may have another company.
UPDATE financial_screener.asset_processing_state SET wanted_to = NULL
WHERE asset_id = ANY (%(asset_ids)s::integer[]) AND wanted_to IS NOT NULL
