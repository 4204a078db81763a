-- The tickers of assets, by their ids.
SELECT id, ticker FROM financial_screener.assets WHERE id = ANY (%(asset_ids)s::integer[]) ORDER BY id
