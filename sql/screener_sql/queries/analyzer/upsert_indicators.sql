-- An asset's row of a day: the last one computed wins. Returns whether the day had none before (the statement does not see its own).
INSERT INTO financial_screener.technical_indicators AS stored
    (
        asset_id, calculation_date, sma_50, sma_200, ema_12, ema_26, wma_20, rsi_14, stoch_k, stoch_d, stoch_rsi, cci_20, macd,
        macd_signal, macd_histogram, dmi_plus, dmi_minus, adx, atr_14, volatility, std_dev, bb_upper, bb_middle, bb_lower,
        bb_bandwidth, sar, beta, slope, avg_volume_30, avg_volume_90, week_52_high, week_52_low, current_price, bars_used,
        calculated_at, execution_id
    )
VALUES (
    %(asset_id)s::integer, %(calculation_date)s::date, %(sma_50)s::double precision, %(sma_200)s::double precision,
    %(ema_12)s::double precision, %(ema_26)s::double precision, %(wma_20)s::double precision, %(rsi_14)s::double precision,
    %(stoch_k)s::double precision, %(stoch_d)s::double precision, %(stoch_rsi)s::double precision, %(cci_20)s::double precision,
    %(macd)s::double precision, %(macd_signal)s::double precision, %(macd_histogram)s::double precision,
    %(dmi_plus)s::double precision, %(dmi_minus)s::double precision, %(adx)s::double precision, %(atr_14)s::double precision,
    %(volatility)s::double precision, %(std_dev)s::double precision, %(bb_upper)s::double precision,
    %(bb_middle)s::double precision, %(bb_lower)s::double precision, %(bb_bandwidth)s::double precision,
    %(sar)s::double precision, %(beta)s::double precision, %(slope)s::double precision, %(avg_volume_30)s::double precision,
    %(avg_volume_90)s::double precision, %(week_52_high)s::double precision, %(week_52_low)s::double precision,
    %(current_price)s::double precision, %(bars_used)s::integer, %(calculated_at)s::timestamptz, %(execution_id)s::text
)
ON CONFLICT (asset_id, calculation_date) DO UPDATE SET
    sma_50 = excluded.sma_50, sma_200 = excluded.sma_200, ema_12 = excluded.ema_12, ema_26 = excluded.ema_26,
    wma_20 = excluded.wma_20, rsi_14 = excluded.rsi_14, stoch_k = excluded.stoch_k, stoch_d = excluded.stoch_d,
    stoch_rsi = excluded.stoch_rsi, cci_20 = excluded.cci_20, macd = excluded.macd, macd_signal = excluded.macd_signal,
    macd_histogram = excluded.macd_histogram, dmi_plus = excluded.dmi_plus, dmi_minus = excluded.dmi_minus, adx = excluded.adx,
    atr_14 = excluded.atr_14, volatility = excluded.volatility, std_dev = excluded.std_dev, bb_upper = excluded.bb_upper,
    bb_middle = excluded.bb_middle, bb_lower = excluded.bb_lower, bb_bandwidth = excluded.bb_bandwidth, sar = excluded.sar,
    beta = excluded.beta, slope = excluded.slope, avg_volume_30 = excluded.avg_volume_30,
    avg_volume_90 = excluded.avg_volume_90, week_52_high = excluded.week_52_high, week_52_low = excluded.week_52_low,
    current_price = excluded.current_price, bars_used = excluded.bars_used, calculated_at = excluded.calculated_at,
    execution_id = excluded.execution_id
RETURNING NOT EXISTS (
    SELECT FROM financial_screener.technical_indicators AS before
    WHERE before.asset_id = stored.asset_id AND before.calculation_date = stored.calculation_date
)
