-- A chunk was not stored because a row of its sample was wrong. What an earlier one says stays.
UPDATE financial_screener.slices
SET verified = false, message = CASE WHEN verified IS FALSE THEN message ELSE %(message)s::text END,
    deviation = greatest(deviation, %(deviation)s::double precision)
WHERE execution_id = %(execution_id)s::text AND kind = 'indicators' AND name = 'indicators'
