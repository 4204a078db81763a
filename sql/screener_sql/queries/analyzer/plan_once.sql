-- Each statement is planned once a connection, whatever its parameters are: all chunks ask the same, by keys, and to plan a statement over all
-- partitions takes longer than to carry it out.
SET plan_cache_mode = force_generic_plan
