-- Random rows that this run stored, read back, of assets whose bars have not changed since. The columns are the registry's, in its order.
SELECT sample.ticker, stored.asset_id, stored.calculation_date,
       stored.sma_50, stored.sma_200, stored.ema_12, stored.ema_26, stored.wma_20, stored.rsi_14, stored.stoch_k,
       stored.stoch_d, stored.stoch_rsi, stored.cci_20, stored.macd, stored.macd_signal, stored.macd_histogram, stored.dmi_plus,
       stored.dmi_minus, stored.adx, stored.atr_14, stored.volatility, stored.std_dev, stored.bb_upper, stored.bb_middle,
       stored.bb_lower, stored.bb_bandwidth, stored.sar, stored.beta, stored.slope, stored.avg_volume_30, stored.avg_volume_90,
       stored.week_52_high, stored.week_52_low, stored.current_price
FROM (
    SELECT item.asset_id, asset.ticker
    FROM financial_screener.plan_items AS item
    JOIN financial_screener.assets AS asset ON asset.id = item.asset_id
    WHERE item.execution_id = %(execution_id)s::text AND item.operation = 'indicators_calc' AND item.state = 'succeeded'
    ORDER BY random()
) AS sample
JOIN financial_screener.asset_processing_state AS state ON state.asset_id = sample.asset_id
CROSS JOIN LATERAL (
    SELECT *
    FROM financial_screener.technical_indicators AS row
    WHERE row.asset_id = sample.asset_id AND row.execution_id = %(execution_id)s::text
    ORDER BY row.calculation_date DESC
    LIMIT 1
) AS stored
WHERE state.prices_changed_at IS NULL OR state.prices_changed_at <= stored.calculated_at
LIMIT %(sample)s::integer
