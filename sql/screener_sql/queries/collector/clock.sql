-- The time by which quota days and minutes are told.
SELECT clock_timestamp()
