-- ISINs that fundamentals have filled by codes that other companies have now: whose they are is not known.
UPDATE financial_screener.assets SET isin = NULL, isin_unproved = false
WHERE id = ANY (%(asset_ids)s::integer[]) AND isin_unproved
