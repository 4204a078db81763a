-- After discovery: see create_decision.sql.
SET LOCAL enable_sort = on
