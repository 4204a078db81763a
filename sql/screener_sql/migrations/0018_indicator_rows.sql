-- Rows of indicators are written by the hundred thousand too (spec.history of an IndicatorRun), and a foreign key is checked row by row:
-- it took half of the time that a row takes.

-- What the key held still holds: the analyzer writes rows only of assets whose state row it has locked, and that row has a key to its
-- asset; an asset with rows is not deleted (below), by whomever.
ALTER TABLE financial_screener.technical_indicators DROP CONSTRAINT technical_indicators_asset_id_fkey;
COMMENT ON COLUMN financial_screener.technical_indicators.asset_id IS
    'An asset''s id. Not a foreign key, which would be checked row by row: writers lock its row in asset_processing_state.';

CREATE FUNCTION financial_screener.keep_assets_with_indicators() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF EXISTS (SELECT FROM financial_screener.technical_indicators WHERE asset_id = OLD.id) THEN
        RAISE EXCEPTION 'asset % has rows in technical_indicators', OLD.ticker USING ERRCODE = 'foreign_key_violation';
    END IF;
    RETURN OLD;
END
$$;
REVOKE EXECUTE ON FUNCTION financial_screener.keep_assets_with_indicators() FROM PUBLIC;
CREATE TRIGGER assets_with_indicators_stay BEFORE DELETE ON financial_screener.assets
    FOR EACH ROW EXECUTE FUNCTION financial_screener.keep_assets_with_indicators();
