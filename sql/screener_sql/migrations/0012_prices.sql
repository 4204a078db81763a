-- Bars are written by the hundred thousand, and a foreign key is checked row by row: it cost two thirds of the time.

-- What the key held still holds: the collector writes bars only of assets whose state row it has locked, and that row has a key to
-- its asset; an asset with bars is not deleted (below), by whomever.
ALTER TABLE financial_screener.stock_prices DROP CONSTRAINT stock_prices_asset_id_fkey;
COMMENT ON COLUMN financial_screener.stock_prices.asset_id IS
    'An asset''s id. Not a foreign key, which would be checked row by row: writers lock its row in asset_processing_state.';

CREATE FUNCTION financial_screener.keep_assets_with_bars() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF EXISTS (SELECT FROM financial_screener.stock_prices WHERE asset_id = OLD.id) THEN
        RAISE EXCEPTION 'asset % has bars in stock_prices', OLD.ticker USING ERRCODE = 'foreign_key_violation';
    END IF;
    RETURN OLD;
END
$$;
REVOKE EXECUTE ON FUNCTION financial_screener.keep_assets_with_bars() FROM PUBLIC;
CREATE TRIGGER assets_with_bars_stay BEFORE DELETE ON financial_screener.assets
    FOR EACH ROW EXECUTE FUNCTION financial_screener.keep_assets_with_bars();
