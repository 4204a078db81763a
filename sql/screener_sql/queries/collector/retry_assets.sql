-- Assets that were not to be had under the code they had: what failed before says nothing of them.
UPDATE financial_screener.asset_processing_state
SET prices_failures = 0, prices_next_attempt_at = NULL, fundamentals_failures = 0, fundamentals_next_attempt_at = NULL,
    actions_failures = 0, actions_next_attempt_at = NULL, last_error_at = NULL, last_error_code = NULL, last_error_message = NULL
WHERE asset_id = ANY (%(asset_ids)s::integer[])
