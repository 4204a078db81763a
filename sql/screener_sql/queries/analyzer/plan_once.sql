-- Each statement is planned once a connection, whatever its parameters are: all chunks ask the same, and to plan a statement over all partitions
-- takes longer than to carry it out. What is planned while a table is empty serves when it has grown, so by keys and not by whole tables.
SELECT set_config('plan_cache_mode', 'force_generic_plan', false), set_config('enable_seqscan', 'off', false)
