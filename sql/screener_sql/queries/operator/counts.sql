-- Of each group its assets by how they end, and its items. An asset counts where the first applies of failed, deferred, succeeded,
-- skipped; one with an open item counts only where it has failed already.
SELECT group_name,
       count(*)::integer AS discovered,
       count(*) FILTER (WHERE planned > 0)::integer AS planned,
       count(*) FILTER (WHERE open = 0 AND failed = 0 AND deferred = 0 AND succeeded > 0)::integer AS succeeded,
       count(*) FILTER (WHERE failed > 0)::integer AS failed,
       count(*) FILTER (WHERE open = 0 AND failed = 0 AND deferred = 0 AND succeeded = 0)::integer AS skipped,
       count(*) FILTER (WHERE open = 0 AND failed = 0 AND deferred > 0)::integer AS deferred,
       sum(planned)::integer AS items_planned,
       sum(open)::integer AS items_open,
       sum(succeeded)::integer AS items_succeeded,
       sum(deferred_by_day)::integer AS deferred_by_day,
       sum(deferred_by_run)::integer AS deferred_by_run
FROM (
    SELECT group_name, asset_id,
           count(*) FILTER (WHERE planned) AS planned,
           count(*) FILTER (WHERE state = 'planned') AS open,
           count(*) FILTER (WHERE state = 'failed') AS failed,
           count(*) FILTER (WHERE state = 'deferred') AS deferred,
           count(*) FILTER (WHERE state = 'succeeded') AS succeeded,
           count(*) FILTER (WHERE error_code = 'daily_limit') AS deferred_by_day,
           count(*) FILTER (WHERE error_code = 'run_limit') AS deferred_by_run
    FROM financial_screener.plan_items
    WHERE execution_id = %(execution_id)s::text
    GROUP BY group_name, asset_id
) AS asset
GROUP BY group_name
