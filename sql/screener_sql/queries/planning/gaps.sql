-- Of each exchange, how many assets lack how many sessions; those that need their whole history have no gap and are left out.
SELECT exchange_id, gap, count(*)
FROM delta
WHERE prices_due AND gap IS NOT NULL
GROUP BY exchange_id, gap
