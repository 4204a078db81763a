-- Tells the planner how large the run is; a fresh temporary table counts as small.
ANALYZE delta, queue, choice
