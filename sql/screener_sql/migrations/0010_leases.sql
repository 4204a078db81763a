-- One statement leases calls and request slots; readings of the vendor's counter; both days of a request at midnight; purchased calls.

ALTER TABLE financial_screener.execution_budgets ADD COLUMN use_extra boolean NOT NULL DEFAULT false;
COMMENT ON COLUMN financial_screener.execution_budgets.use_extra IS 'Whether the run may spend purchased calls once the day''s are spent.';

ALTER TABLE financial_screener.vendor_account
    ALTER COLUMN daily_limit DROP NOT NULL,
    ADD COLUMN extra_limit integer NOT NULL DEFAULT 0 CHECK (extra_limit >= 0),
    ADD COLUMN clock_skew interval NOT NULL DEFAULT '0';
COMMENT ON COLUMN financial_screener.vendor_account.daily_limit IS 'NULL until the vendor''s counter was read.';
COMMENT ON COLUMN financial_screener.vendor_account.clock_skew IS
    'The vendor''s clock, by the Date header of its answers, minus this database''s. Quota days and minutes are told by the vendor''s clock.';

-- What a lease leaves as it is, is judged by its type, where it is set: a CHECK of the table is read and judged again for every lease, while
-- its row is locked. That calls_used is not negative follows from calls_returned.
CREATE DOMAIN financial_screener.call_count AS integer CHECK (VALUE >= 0);
CREATE DOMAIN financial_screener.whole_minute AS timestamptz CHECK (VALUE = date_trunc('minute', VALUE, 'UTC'));

-- What is reserved and given back stays in calls_used, as only a reading of the vendor's counter lowers that; it is leased again first.
DROP VIEW financial_screener.v_quota_status, financial_screener.v_quota_weekly_trend;
ALTER TABLE financial_screener.api_daily_quota
    DROP COLUMN calls_remaining,
    DROP COLUMN quota_exhausted,
    DROP CONSTRAINT api_daily_quota_calls_limit_check,
    DROP CONSTRAINT api_daily_quota_calls_used_check,
    ALTER COLUMN calls_limit TYPE financial_screener.call_count,
    ADD COLUMN calls_returned integer NOT NULL DEFAULT 0,
    ADD COLUMN extra_calls financial_screener.call_count NOT NULL DEFAULT 0,
    ADD COLUMN others_used integer NOT NULL DEFAULT 0,
    ADD COLUMN shared boolean NOT NULL DEFAULT false,
    ADD COLUMN leased_since_reading integer NOT NULL DEFAULT 0,
    ADD COLUMN reader_id integer,
    ADD COLUMN reader_since timestamptz,
    ADD CHECK (calls_returned BETWEEN 0 AND calls_used);
ALTER TABLE financial_screener.api_daily_quota
    ADD COLUMN calls_remaining integer
        GENERATED ALWAYS AS (CASE WHEN spent THEN 0 ELSE greatest(calls_limit - calls_used + calls_returned, 0) END) STORED,
    ADD COLUMN quota_exhausted boolean GENERATED ALWAYS AS (spent OR calls_used - calls_returned >= calls_limit) STORED;
COMMENT ON COLUMN financial_screener.api_daily_quota.calls_used IS
    'The latest reading of the vendor''s counter and all that is reserved beyond it; lowered by nothing but a reading.';
COMMENT ON COLUMN financial_screener.api_daily_quota.calls_returned IS 'Of calls_used: what workers gave back that ended in order; leased again before anything else.';
COMMENT ON COLUMN financial_screener.api_daily_quota.extra_calls IS 'Purchased calls beyond calls_limit; for runs with use_extra alone.';
COMMENT ON COLUMN financial_screener.api_daily_quota.others_used IS 'The most of the vendor''s counter that cannot be ours.';
COMMENT ON COLUMN financial_screener.api_daily_quota.shared IS 'Others use the key, today or the day before: the counter is read again at least every 500 calls.';
COMMENT ON COLUMN financial_screener.api_daily_quota.vendor_read_at IS 'When the latest reading was sent.';
COMMENT ON COLUMN financial_screener.api_daily_quota.reader_id IS 'The worker that was asked to read the counter, at reader_since.';

CREATE VIEW financial_screener.v_quota_status AS
SELECT day, calls_limit, calls_used, calls_remaining, quota_exhausted, vendor_used, vendor_read_at,
       CASE
           WHEN calls_remaining >= 50000 THEN 'healthy'
           WHEN calls_remaining >= 20000 THEN 'warning'
           WHEN calls_remaining >= 5000 THEN 'critical'
           ELSE 'exhausted'
       END AS health
FROM financial_screener.api_daily_quota
WHERE day = (now() AT TIME ZONE 'UTC')::date;

CREATE VIEW financial_screener.v_quota_weekly_trend AS
SELECT day, calls_limit, calls_used, calls_remaining, quota_exhausted,
       round(100.0 * calls_used / nullif(calls_limit, 0), 2) AS used_pct
FROM financial_screener.api_daily_quota
WHERE day > (now() AT TIME ZONE 'UTC')::date - 7
ORDER BY day DESC;
GRANT SELECT ON financial_screener.v_quota_status, financial_screener.v_quota_weekly_trend
    TO screener_operator, screener_collector, screener_analyzer;

-- Its one writer is lease_calls, which has locked the day; the time in which it holds the lock bounds how many leases a second there can be.
ALTER TABLE financial_screener.api_leases
    DROP CONSTRAINT api_leases_day_fkey,
    DROP CONSTRAINT api_leases_worker_id_fkey,
    DROP CONSTRAINT api_leases_calls_check,
    DROP CONSTRAINT api_leases_check,
    ADD COLUMN also_day date,
    ADD COLUMN calls_unknown integer NOT NULL DEFAULT 0,
    ADD CONSTRAINT api_leases_check CHECK (
        calls > 0 AND calls_spent <= calls AND calls_unknown BETWEEN 0 AND calls_spent AND also_day = day - 1);
COMMENT ON COLUMN financial_screener.api_leases.also_day IS 'The day before, where it is charged to that too: its requests may be under way at midnight.';
COMMENT ON COLUMN financial_screener.api_leases.calls_unknown IS 'Of calls_spent: for requests of which no end was seen, so that the vendor may still count them.';
-- One index, as each takes its part of every lease. Nothing of it changes when a lease is closed, which so needs no new entry anywhere; and a
-- lease of two days is found by the later one.
DROP INDEX financial_screener.api_leases_open_idx;
CREATE INDEX api_leases_day_idx ON financial_screener.api_leases (day);
ALTER TABLE financial_screener.api_leases SET (fillfactor = 80);

COMMENT ON COLUMN financial_screener.api_request_minutes.minute IS 'By the vendor''s clock.';
COMMENT ON COLUMN financial_screener.api_request_minutes.requests_limit IS 'Slots of the minute: the vendor''s limit but for one in forty.';
COMMENT ON COLUMN financial_screener.api_request_minutes.requests_used IS 'Slots given out.';
ALTER TABLE financial_screener.api_request_minutes
    DROP CONSTRAINT api_request_minutes_minute_check,
    ALTER COLUMN minute TYPE financial_screener.whole_minute,
    ADD COLUMN used_before integer NOT NULL DEFAULT 0,
    ADD COLUMN next_slot integer NOT NULL DEFAULT 0;
COMMENT ON COLUMN financial_screener.api_request_minutes.used_before IS 'Slots given out of the minute before.';
COMMENT ON COLUMN financial_screener.api_request_minutes.next_slot IS
    'Slot n is for no earlier than n / requests_limit of the minute. From requests_limit on they are the next minute''s.';

-- Rows that every lease updates: the room keeps them on one page, without an entry in an index.
ALTER TABLE financial_screener.execution_budgets SET (fillfactor = 20);
ALTER TABLE financial_screener.api_daily_quota SET (fillfactor = 20);
ALTER TABLE financial_screener.api_request_minutes SET (fillfactor = 20);
GRANT DELETE ON financial_screener.api_leases TO screener_collector;

-- What of a lease is reserved and not known to be finished.
CREATE FUNCTION financial_screener.unfinished_calls(lease financial_screener.api_leases) RETURNS integer
LANGUAGE sql IMMUTABLE AS $$
    SELECT CASE WHEN lease.closed_at IS NULL THEN lease.calls - lease.calls_spent ELSE 0 END + lease.calls_unknown
$$;

-- Leases calls and request slots at once; either may be none. Everything is by the vendor's clock.
--
-- calls: at least `needed` and at most `wanted`, of what the run may use, of the present GMT day and, near midnight, of both days: from
-- 3 minutes 30 before it (what is sent then may be under way at 23:59:30, as an answer is waited for 3 minutes) until 30 seconds after.
-- `cap`: calls of a day that are used at most, whatever the vendor allows. A lease is void from valid_until on.
--
-- slots: up to `requests` slots of a minute, maybe a later one: first_slot and those that follow. While this minute's and those of the
-- minute before are together within the limit, the next slots are given out to be used at once, before their time; others are for their
-- time and no earlier, and what goes by unused is lost, but for one in forty. So no minute, wherever it begins, has more requests than the
-- vendor allows: after the last that was given out before its time there are none but those that follow it in time.
--
-- outcome: leased; run_limit, daily_limit: nothing is; reading_due: nothing is, as others use the key and 500 calls were leased since the
-- counter was read. read_counter: the caller is the one who has to read it. `for_reading`: the calls are for that. `new_day`: a reading is
-- wanted if the day has none.
--
-- Rows are locked in one order: run, days by date, minutes by time. They are locked while the lease is made, and not while it is written to
-- the disk: it is committed at once, and what follows waits for the disk, for this lease and any that others made meanwhile. Before that
-- nobody knows of it, so a crash may lose none that is used. To be called outside of a transaction.
CREATE PROCEDURE financial_screener.lease_calls(
    run text, worker integer, needed integer, wanted integer, requests integer, cap integer, for_reading boolean, new_day boolean,
    OUT outcome text, OUT lease_id bigint, OUT day date, OUT also_day date, OUT valid_until timestamptz, OUT calls integer,
    OUT minute timestamptz, OUT first_slot integer, OUT slots integer, OUT minute_slots integer,
    OUT requests_per_minute integer, OUT clock_skew interval, OUT told_at timestamptz, OUT read_counter boolean
) LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE
    before_midnight CONSTANT interval := '210 seconds';
    after_midnight CONSTANT interval := '30 seconds';
    vendor_limit integer;
    vendor_now timestamptz;
    today date;
    budget financial_screener.execution_budgets;
    quota financial_screener.api_daily_quota;
    each date;
    days date[];
    granted integer := wanted;
    whole boolean := false;
    elapsed float8;
    present financial_screener.api_request_minutes;
    setting text;
    mark pg_lsn;
BEGIN
    outcome := 'leased';
    slots := 0;
    read_counter := false;
    SELECT account.daily_limit, account.requests_per_minute, account.clock_skew
    INTO vendor_limit, requests_per_minute, clock_skew FROM financial_screener.vendor_account AS account;
    requests_per_minute := coalesce(requests_per_minute, 1000);
    clock_skew := coalesce(clock_skew, interval '0');

    told_at := clock_timestamp();
    vendor_now := told_at + clock_skew;
    today := (vendor_now AT TIME ZONE 'UTC')::date;
    day := ((vendor_now + before_midnight) AT TIME ZONE 'UTC')::date;
    also_day := nullif(((vendor_now - after_midnight) AT TIME ZONE 'UTC')::date, day);
    valid_until := CASE WHEN also_day IS NULL
        THEN (day + 1)::timestamp AT TIME ZONE 'UTC' - before_midnight
        ELSE day::timestamp AT TIME ZONE 'UTC' + after_midnight END;

    -- The plain case, all that is wanted of one day: each row is locked by its update.
    IF wanted > 0 AND also_day IS NULL THEN
        UPDATE financial_screener.execution_budgets AS known SET calls_used = known.calls_used + wanted
        WHERE known.execution_id = run AND (known.max_calls IS NULL OR known.calls_used + wanted <= known.max_calls)
        RETURNING known.keep_calls, known.use_extra INTO budget.keep_calls, budget.use_extra;
        IF FOUND THEN
            UPDATE financial_screener.api_daily_quota AS known
            SET calls_used = known.calls_used + greatest(wanted - known.calls_returned, 0),
                calls_returned = greatest(known.calls_returned - wanted, 0),
                leased_since_reading = known.leased_since_reading + wanted
            WHERE known.day = lease_calls.day AND NOT known.spent AND NOT known.shared AND NOT (new_day AND known.vendor_read_at IS NULL)
              AND known.calls_used - known.calls_returned + wanted
                  <= least(known.calls_limit, cap) - budget.keep_calls
                     + CASE WHEN budget.use_extra AND cap >= known.calls_limit THEN known.extra_calls ELSE 0 END;
            whole := FOUND;
            IF NOT whole THEN
                UPDATE financial_screener.execution_budgets AS known SET calls_used = known.calls_used - wanted
                WHERE known.execution_id = run;
            END IF;
        END IF;
    END IF;

    -- Any other: locked first, so that it is known what there is.
    IF wanted > 0 AND NOT whole THEN
        SELECT * INTO budget FROM financial_screener.execution_budgets AS known WHERE known.execution_id = run FOR UPDATE;
        granted := least(granted, budget.max_calls - budget.calls_used);
        IF NOT FOUND OR granted < needed THEN
            outcome := 'run_limit';
        END IF;
    END IF;
    IF wanted > 0 AND NOT whole AND outcome = 'leased' THEN
        days := array_remove(ARRAY[also_day, day], NULL);
        FOREACH each IN ARRAY days LOOP
            LOOP
                SELECT * INTO quota FROM financial_screener.api_daily_quota AS known WHERE known.day = each FOR UPDATE;
                EXIT WHEN FOUND;
                -- A worker of the day before may be frozen with a request that it sends when it wakes.
                INSERT INTO financial_screener.api_daily_quota (day, calls_limit, calls_used, shared)
                SELECT each, least(cap, vendor_limit),
                       coalesce((SELECT sum(financial_screener.unfinished_calls(lease)) FROM financial_screener.api_leases AS lease
                                 WHERE lease.day = each - 1 AND (lease.closed_at IS NULL OR lease.calls_unknown > 0)), 0),
                       EXISTS (SELECT FROM financial_screener.api_daily_quota AS earlier WHERE earlier.day = each - 1 AND earlier.others_used > 0)
                ON CONFLICT DO NOTHING;
            END LOOP;
            granted := least(
                granted,
                least(quota.calls_limit, cap) - budget.keep_calls - quota.calls_used + quota.calls_returned
                + CASE WHEN budget.use_extra AND cap >= quota.calls_limit THEN quota.extra_calls ELSE 0 END);
            IF quota.spent OR granted < needed THEN
                outcome := 'daily_limit';
            ELSIF each = today AND NOT for_reading THEN
                IF quota.shared THEN
                    granted := least(granted, 500 - quota.leased_since_reading);
                    IF granted < needed THEN
                        outcome := 'reading_due';
                    END IF;
                END IF;
                read_counter := (quota.shared AND quota.leased_since_reading + needed > 300
                                 OR new_day AND quota.vendor_read_at IS NULL AND also_day IS NULL)
                    AND (quota.reader_since IS NULL OR quota.reader_since < told_at - interval '60 seconds'
                         OR outcome = 'reading_due' AND NOT financial_screener.worker_is_alive(quota.reader_id));
                IF read_counter THEN
                    UPDATE financial_screener.api_daily_quota AS known SET reader_id = worker, reader_since = told_at WHERE known.day = each;
                END IF;
            END IF;
            EXIT WHEN outcome <> 'leased';
        END LOOP;
    END IF;

    IF outcome <> 'leased' AND needed > 0 THEN
        RETURN;
    END IF;

    IF requests > 0 THEN
        minute := date_trunc('minute', vendor_now, 'UTC');
        elapsed := extract(epoch FROM vendor_now - minute)::float8 / 60;
        UPDATE financial_screener.api_request_minutes AS known
        SET requests_used = known.requests_used + requests,
            next_slot = greatest(known.next_slot, (known.requests_limit * (elapsed - 0.025))::integer) + requests
        WHERE known.minute = lease_calls.minute
          AND (known.used_before + known.requests_used + requests <= known.requests_limit
               OR known.used_before + known.requests_used >= known.requests_limit
                  AND greatest(known.next_slot, (known.requests_limit * (elapsed - 0.025))::integer) + requests <= known.requests_limit)
        RETURNING known.requests_limit,
                  CASE WHEN known.used_before + known.requests_used <= known.requests_limit
                       THEN floor(known.requests_limit * elapsed) ELSE known.next_slot END - requests
        INTO minute_slots, first_slot;
        IF FOUND THEN
            slots := requests;
        END IF;
    END IF;

    -- The minute's first or last, or those of the next.
    IF requests > 0 AND slots = 0 THEN
        FOR ahead IN 0..3 LOOP
            LOOP
                SELECT * INTO present FROM financial_screener.api_request_minutes AS known WHERE known.minute = lease_calls.minute FOR UPDATE;
                EXIT WHEN FOUND;
                INSERT INTO financial_screener.api_request_minutes (minute, requests_limit, used_before, next_slot)
                SELECT lease_calls.minute, greatest(1, floor(0.975 * requests_per_minute)),
                       coalesce(sum(earlier.requests_used), 0), coalesce(sum(greatest(earlier.next_slot - earlier.requests_limit, 0)), 0)
                FROM financial_screener.api_request_minutes AS earlier
                WHERE earlier.minute = lease_calls.minute - interval '1 minute'
                ON CONFLICT DO NOTHING;
            END LOOP;
            minute_slots := present.requests_limit;
            elapsed := extract(epoch FROM vendor_now - minute)::float8 / 60;
            first_slot := greatest(present.next_slot, (minute_slots * (elapsed - 0.025))::integer);
            slots := CASE WHEN ahead = 0 THEN least(requests, minute_slots - present.used_before - present.requests_used) ELSE 0 END;
            IF slots > 0 THEN
                UPDATE financial_screener.api_request_minutes AS known
                SET requests_used = known.requests_used + slots, next_slot = first_slot + slots
                WHERE known.minute = lease_calls.minute;
                first_slot := floor(minute_slots * elapsed) - slots;
                EXIT;
            END IF;
            slots := least(requests, minute_slots - first_slot);
            IF slots > 0 THEN
                UPDATE financial_screener.api_request_minutes AS known
                SET requests_used = known.requests_used + slots, next_slot = first_slot + slots
                WHERE known.minute = lease_calls.minute;
                EXIT;
            END IF;
            slots := 0;
            minute := minute + interval '1 minute';
        END LOOP;
    END IF;

    calls := 0;
    IF outcome = 'leased' AND granted > 0 THEN
        calls := granted;
        IF NOT whole THEN
            UPDATE financial_screener.execution_budgets AS known SET calls_used = known.calls_used + granted WHERE known.execution_id = run;
            UPDATE financial_screener.api_daily_quota AS known
            SET calls_used = known.calls_used + greatest(granted - known.calls_returned, 0),
                calls_returned = greatest(known.calls_returned - granted, 0),
                leased_since_reading = known.leased_since_reading + granted
            WHERE known.day = ANY (days);
        END IF;
        INSERT INTO financial_screener.api_leases AS made (day, also_day, execution_id, worker_id, calls)
        VALUES (lease_calls.day, lease_calls.also_day, run, worker, granted) RETURNING made.id INTO lease_id;
    END IF;
    outcome := 'leased';

    -- Both are assigned, as PERFORM would make a query of each.
    setting := set_config('synchronous_commit', 'off', true);
    COMMIT;
    -- A mark in the log, committed as usual: once it is on the disk, so is what comes before it.
    mark := pg_logical_emit_message(true, 'lease', '');
END
$$;

REVOKE EXECUTE ON FUNCTION financial_screener.unfinished_calls(financial_screener.api_leases) FROM PUBLIC;
REVOKE EXECUTE ON PROCEDURE financial_screener.lease_calls FROM PUBLIC;
GRANT EXECUTE ON FUNCTION financial_screener.unfinished_calls(financial_screener.api_leases) TO screener_collector;
GRANT EXECUTE ON PROCEDURE financial_screener.lease_calls TO screener_collector;
