-- A whole list of an asset's splits or dividends between two days has others, and lacks these: they did not happen. A list that lacks
-- more than one, and more than a tenth, of what is known has lost them itself.
-- lists: [{"asset_id", "kind", "first", "last", "ex_dates"}]
WITH missing AS (
    SELECT known.asset_id, known.ex_date, known.kind,
           count(*) OVER (PARTITION BY known.asset_id, known.kind) AS lacking, cardinality(list.ex_dates) AS listed
    FROM jsonb_to_recordset(%(lists)s::jsonb) AS list (asset_id integer, kind text, first date, last date, ex_dates date[])
    JOIN financial_screener.corporate_actions AS known
        ON known.asset_id = list.asset_id AND known.kind = list.kind AND known.ex_date BETWEEN list.first AND list.last
    WHERE known.withdrawn_at IS NULL AND NOT known.ex_date = ANY (list.ex_dates)
)
UPDATE financial_screener.corporate_actions AS action
SET withdrawn_at = clock_timestamp(), confirmed_at = NULL
FROM missing
WHERE action.asset_id = missing.asset_id AND action.ex_date = missing.ex_date AND action.kind = missing.kind
  AND missing.listed > 0 AND missing.lacking <= greatest(1, missing.listed / 10)
RETURNING action.asset_id
