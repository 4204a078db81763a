-- What is carried of assets, where all of it was computed, packed one after another. NaN: not known.
SELECT coalesce(string_agg(
           int4send(state.asset_id) || date_send(state.last_bar) || timestamptz_send(state.read_at)
               || float8send(coalesce(obv, 'NaN')) || float8send(coalesce(adi, 'NaN')) || float8send(coalesce(vpt, 'NaN'))
               || float8send(coalesce(nvi, 'NaN')) || float8send(coalesce(first_close, 'NaN')),
           ''::bytea), ''::bytea)
FROM financial_screener.indicator_states AS state
WHERE state.asset_id = ANY (%(asset_ids)s::integer[]) AND state.execution_id IS NOT NULL
