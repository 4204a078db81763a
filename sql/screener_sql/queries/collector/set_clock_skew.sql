-- The vendor's clock differs otherwise from this database's than was known.
INSERT INTO financial_screener.vendor_account (clock_skew) VALUES (%(clock_skew)s::interval)
ON CONFLICT (only_row) DO UPDATE SET clock_skew = excluded.clock_skew
