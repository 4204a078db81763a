-- Units that are parts of a currency.
SELECT code, currency, per_major FROM financial_screener.currency_units
