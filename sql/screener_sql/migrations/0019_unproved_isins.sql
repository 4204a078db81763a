-- An ISIN that a symbol list lacks may be filled by fundamentals, which are of whoever has the code when they are asked for.
ALTER TABLE financial_screener.assets ADD COLUMN isin_unproved boolean NOT NULL DEFAULT false;
COMMENT ON COLUMN financial_screener.assets.isin_unproved IS
    'The ISIN was filled by fundamentals, and no list has shown the code as the asset''s since: it may be that of another company with the code.';
