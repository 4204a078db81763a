-- One slice a group, in the order of the spec.
INSERT INTO financial_screener.slices (execution_id, kind, name, ordinal)
SELECT DISTINCT %(execution_id)s::text, 'group', group_name, group_ordinal
FROM jsonb_to_recordset(%(wanted)s::jsonb) AS wanted (group_name text, group_ordinal integer)
ON CONFLICT (execution_id, kind, name) DO NOTHING
