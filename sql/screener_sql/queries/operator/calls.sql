-- The calls of a run, planned and used, those that it must keep, and those left of the GMT day for all runs (NULL while the vendor's limit is not known).
SELECT (SELECT coalesce(sum(calls), 0)::integer FROM financial_screener.plan_fetches WHERE execution_id = %(execution_id)s::text) AS planned,
       (SELECT coalesce(sum(api_calls_used), 0)::integer FROM financial_screener.asset_processing_details
        WHERE execution_id = %(execution_id)s::text) AS used,
       coalesce((SELECT keep_calls FROM financial_screener.execution_budgets WHERE execution_id = %(execution_id)s::text), 0) AS kept,
       coalesce(
           (SELECT calls_remaining FROM financial_screener.api_daily_quota
            WHERE day = ((%(now)s::timestamptz + coalesce((SELECT clock_skew FROM financial_screener.vendor_account), interval '0'))
                         AT TIME ZONE 'UTC')::date),
           (SELECT daily_limit FROM financial_screener.vendor_account)
       ) AS remaining_today
