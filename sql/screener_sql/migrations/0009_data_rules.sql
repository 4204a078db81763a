-- What is held of the vendor's data: the rules, their numbers, every judgement by them and its history.

CREATE TABLE financial_screener.data_rules (
    rule       text PRIMARY KEY,
    scope      text  NOT NULL CHECK (scope IN ('row', 'series', 'batch', 'cross')),
    severity   text  NOT NULL CHECK (severity IN ('quarantine', 'flag')),
    parameters jsonb NOT NULL DEFAULT '{}',
    sentence   text  NOT NULL
);
COMMENT ON TABLE financial_screener.data_rules IS
    'A worker reads it when it starts: a severity or a number that is changed here holds from then on.';

INSERT INTO financial_screener.data_rules (rule, scope, severity, parameters, sentence) VALUES
    ('row_invalid', 'row', 'quarantine', '{}',
     'The row is no object.'),
    ('date_invalid', 'row', 'quarantine', '{}',
     'The date cannot be read.'),
    ('date_future', 'row', 'quarantine', '{}',
     'The date is in the future.'),
    ('date_not_asked_for', 'row', 'quarantine', '{}',
     'The date was not asked for.'),
    ('date_repeated', 'row', 'quarantine', '{}',
     'Two different bars have this date.'),
    ('price_invalid', 'row', 'quarantine', '{}',
     'A price is no number that a price can be.'),
    ('price_not_positive', 'row', 'quarantine', '{}',
     'A price is not above zero.'),
    ('low_high_order', 'row', 'quarantine', '{}',
     'Open or close is not between the low and the high.'),
    ('adjusted_close_invalid', 'row', 'quarantine', '{}',
     'The adjusted close is none.'),
    ('volume_invalid', 'row', 'quarantine', '{}',
     'The volume is no count.'),
    ('bar_withdrawn', 'row', 'quarantine', '{}',
     'The vendor no longer has the bar.'),
    ('unit_switch', 'series', 'quarantine', '{"factor": 100, "tolerance": 0.35, "tolerance_back": 1.1, "ticks": 10, "noise": 1.1, "settled_bars": 250}',
     'Prices are 100 times what they are on the other side, up or down: another unit.'),
    ('units_mixed', 'series', 'quarantine', '{"tolerance": 0.5}',
     'Prices of one bar are 100 times the others.'),
    ('no_session', 'series', 'quarantine', '{"doubt_share": 0.005, "doubt_bars": 3}',
     'A bar without volume, or a copy of the one before, on a day without a session.'),
    ('block_repeated', 'series', 'quarantine', '{"bars": 5, "leap": 3}',
     'Bars on end are exactly as many others, volume included.'),
    ('split_misapplied', 'series', 'quarantine', '{"tolerance": 0.03, "price_share": 0.35, "ratio": 1.3, "moves": 4, "search_bars": 10, "pending_bars": 5}',
     'The price steps by a recorded split; the adjusted close does not, or partly, or twice, or on another day.'),
    ('split_contradicted', 'series', 'quarantine', '{"volume_step": 3}',
     'The adjusted close shows a recorded split that neither price nor volume does.'),
    ('split_unclear', 'series', 'flag', '{}',
     'A recorded split that the adjusted close does not show, or not by its ratio, and prices do not decide.'),
    ('split_unrecorded', 'series', 'flag', '{"ratio": 1.3}',
     'Price and adjusted close show a split that is not on record.'),
    ('split_suspected', 'series', 'flag', '{"tolerance": 0.03, "moves": 8, "traded_share": 0.9, "ticks": 50, "volume_step": 3}',
     'The price steps by a simple ratio and stays there without more volume; no split is on record and none in the adjusted close.'),
    ('dividend_unit', 'series', 'flag', '{"factor": 100, "tolerance": 0.15}',
     'A dividend and its step in the adjusted close differ by a factor of 100.'),
    ('dividend_not_adjusted', 'series', 'flag', '{}',
     'A dividend is missing from the adjusted close.'),
    ('dividend_adjusted_twice', 'series', 'flag', '{"tolerance": 0.1}',
     'A dividend is in the adjusted close twice.'),
    ('dividend_repeated', 'series', 'flag', '{"days": 4, "tolerance": 0.01}',
     'The same dividend is on record twice within days.'),
    ('dividend_misdated', 'series', 'flag', '{"bars": 5}',
     'The adjusted close shows a dividend on another day than its ex-date.'),
    ('dividend_mismatch', 'series', 'flag', '{"tolerance": 0.05, "tolerance_converted": 0.15}',
     'A dividend and its step in the adjusted close differ.'),
    ('adjustment_unexplained', 'series', 'flag', '{"step": 0.0005, "days": 366}',
     'The adjusted close steps against the close on a day without an action.'),
    ('return_unexplained', 'series', 'flag', '{"return": 0.5, "volume_step": 3, "usual_moves": 4, "gap_days": 30}',
     'The adjusted close moves by more than half without an action and without more volume.'),
    ('bar_repeated', 'series', 'flag', '{}',
     'A bar with a range is exactly that of the session before, volume included.'),
    ('prices_stale', 'series', 'flag', '{"bars": 5, "usual_share": 0.1}',
     'A stock that usually moves has the same four prices for sessions on end, with volume.'),
    ('volume_missing', 'series', 'flag', '{"bars": 10, "traded_share": 0.95}',
     'A stock that trades every day has no volume for sessions on end.'),
    ('session_gap', 'series', 'flag', '{"sessions": 10, "traded_share": 0.95, "sessions_of_steady": 3, "steady_bars": 250}',
     'A stock that trades every day has no bar for sessions on end.'),
    ('last_bar_old', 'series', 'flag', '{"sessions": 10, "traded_share": 0.95}',
     'A stock that trades every day has no bar of the exchange''s last sessions.'),
    ('calendar_doubtful', 'series', 'flag', '{}',
     'Bars with volume are on days without a session by the calendar.'),
    ('action_not_applied', 'series', 'flag', '{}',
     'After five sessions the adjusted close does not show a recorded action.'),
    ('batch_wrong_date', 'batch', 'quarantine', '{"share": 0.5}',
     'Most rows of a bulk day are of another date.'),
    ('batch_residue', 'batch', 'quarantine', '{"share": 0.1, "rows": 50}',
     'A bulk day has a handful of rows: no session, or not published.'),
    ('batch_echo', 'batch', 'quarantine', '{"share": 0.5, "rows": 10}',
     'A bulk day repeats the bars of the session before.'),
    ('batch_partial', 'batch', 'quarantine', '{"share": 0.7, "settled_hours": 20, "settled_share": 0.02}',
     'A bulk day has far fewer rows than those before it.'),
    ('list_partial', 'batch', 'quarantine', '{"lacking": 20, "share": 0.05}',
     'A symbol list lacks more of what the one before had than leave in a day.'),
    ('code_reused', 'batch', 'quarantine', '{"tolerance": 0.0001, "share": 0.05}',
     'The code was given to another company, and the bar came after the last list that shows it as this one''s.'),
    ('dividend_currency', 'cross', 'flag', '{}',
     'A dividend is in another currency than the listing, and no rate is known.'),
    ('listings_differ', 'cross', 'flag', '{"tolerance": 0.25, "days": 5}',
     'Listings of one ISIN in one currency differ in price.'),
    ('market_cap_differs', 'cross', 'flag', '{"factor": 3, "days": 40}',
     'Market capitalisation is not shares times price.'),
    ('year_range_differs', 'cross', 'flag', '{"factor": 1.5, "days": 40}',
     'The vendor''s 52-week high or low is not that of the bars.'),
    ('currency_missing', 'cross', 'flag', '{}',
     'Fundamentals state no currency.'),
    ('shares_missing', 'cross', 'flag', '{}',
     'Fundamentals state no shares outstanding.'),
    ('quarter_old', 'cross', 'flag', '{"days": 400}',
     'The most recent quarter is long past.'),
    ('balance_unequal', 'cross', 'flag', '{"tolerance": 0.1}',
     'Assets are not liabilities and equity together.');

CREATE TABLE financial_screener.data_findings (
    id           bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    asset_id     integer REFERENCES financial_screener.assets,
    exchange_id  smallint REFERENCES financial_screener.exchanges,
    date_from    date,
    date_to      date,
    rule         text NOT NULL REFERENCES financial_screener.data_rules,
    severity     text NOT NULL CHECK (severity IN ('quarantine', 'flag')),
    measured     double precision,
    expected     double precision,
    message      text,
    state        text NOT NULL DEFAULT 'open' CHECK (state IN ('open', 'confirmed', 'released', 'accepted')),
    execution_id text NOT NULL,
    found_at     timestamptz NOT NULL DEFAULT now(),
    changed_at   timestamptz NOT NULL DEFAULT now(),
    CHECK (date_to >= date_from),
    CHECK ((date_from IS NULL) = (date_to IS NULL)),
    CHECK (asset_id IS NOT NULL OR exchange_id IS NOT NULL),
    UNIQUE NULLS NOT DISTINCT (asset_id, exchange_id, rule, date_from)
);
CREATE INDEX data_findings_execution_id_idx ON financial_screener.data_findings (execution_id);
COMMENT ON COLUMN financial_screener.data_findings.date_from IS
    'Where the cause is; the bars it is about may reach further back. NULL: the row had no date that could be read.';
COMMENT ON COLUMN financial_screener.data_findings.state IS
    'open; confirmed: a later answer showed the same; released: a later answer showed it no more; accepted: a person released it.';
COMMENT ON COLUMN financial_screener.data_findings.execution_id IS 'The run that found it last.';

CREATE TABLE financial_screener.data_finding_events (
    id           bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    finding_id   bigint NOT NULL REFERENCES financial_screener.data_findings,
    state        text   NOT NULL,
    measured     double precision,
    message      text,
    execution_id text,
    happened_at  timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX data_finding_events_finding_id_idx ON financial_screener.data_finding_events (finding_id);
COMMENT ON TABLE financial_screener.data_finding_events IS 'The history of findings: each change of state or of what was measured.';

ALTER TABLE financial_screener.quarantined_bars
    ADD COLUMN confirmed_at timestamptz,
    ADD COLUMN finding_id bigint REFERENCES financial_screener.data_findings;
CREATE INDEX quarantined_bars_finding_id_idx ON financial_screener.quarantined_bars (finding_id);
CREATE INDEX quarantined_bars_execution_id_idx ON financial_screener.quarantined_bars (execution_id);
COMMENT ON COLUMN financial_screener.quarantined_bars.confirmed_at IS 'When a later run last got the same bar again.';

CREATE TABLE financial_screener.execution_quality (
    execution_id text    NOT NULL,
    worker_id    integer NOT NULL,
    bars_checked bigint  NOT NULL,
    PRIMARY KEY (execution_id, worker_id)
);

-- Whatever changes a finding, its history has it.
CREATE FUNCTION financial_screener.note_finding() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'INSERT' OR NEW.state <> OLD.state OR NEW.measured IS DISTINCT FROM OLD.measured THEN
        INSERT INTO financial_screener.data_finding_events (finding_id, state, measured, message, execution_id)
        VALUES (NEW.id, NEW.state, NEW.measured, NEW.message, CASE WHEN NEW.state <> 'accepted' THEN NEW.execution_id END);
    END IF;
    RETURN NULL;
END
$$;
CREATE TRIGGER data_findings_history AFTER INSERT OR UPDATE ON financial_screener.data_findings
    FOR EACH ROW EXECUTE FUNCTION financial_screener.note_finding();

-- Judgements for people, newest first.
CREATE VIEW financial_screener.v_data_findings AS
SELECT finding.id, asset.ticker, exchange.code AS exchange, finding.rule, finding.severity, finding.state,
       finding.date_from, finding.date_to, finding.measured, finding.expected,
       coalesce(finding.message, rule.sentence) AS message, rule.scope,
       bars.quarantined AS bars_quarantined, bars.first_date AS bars_from, bars.last_date AS bars_to,
       finding.found_at, finding.changed_at, finding.execution_id, events.history
FROM financial_screener.data_findings AS finding
JOIN financial_screener.data_rules AS rule USING (rule)
LEFT JOIN financial_screener.assets AS asset ON asset.id = finding.asset_id
LEFT JOIN financial_screener.exchanges AS exchange ON exchange.id = coalesce(finding.exchange_id, asset.exchange_id)
LEFT JOIN LATERAL (
    SELECT count(*) AS quarantined, min(bar.date) AS first_date, max(bar.date) AS last_date
    FROM financial_screener.quarantined_bars AS bar
    WHERE bar.finding_id = finding.id AND bar.released_at IS NULL
) AS bars ON true
LEFT JOIN LATERAL (
    SELECT string_agg(event.state || ' ' || to_char(event.happened_at AT TIME ZONE 'UTC', 'YYYY-MM-DD'), ', ' ORDER BY event.id) AS history
    FROM financial_screener.data_finding_events AS event
    WHERE event.finding_id = finding.id
) AS events ON true
ORDER BY finding.changed_at DESC, finding.id DESC;

-- What a run found of the data: one row in all (rule NULL), and one by rule. Bars, and findings, that the run saw.
CREATE FUNCTION financial_screener.quality_report(run text)
RETURNS TABLE (rule text, severity text, bars_checked bigint, findings bigint, quarantined bigint, flagged bigint, assets bigint)
LANGUAGE sql STABLE AS $$
    WITH bars AS (
        SELECT bar.rule, count(*) AS quarantined FROM financial_screener.quarantined_bars AS bar
        WHERE bar.execution_id = run AND bar.released_at IS NULL GROUP BY bar.rule
    ), found AS (
        SELECT finding.rule, count(*) AS findings, count(*) FILTER (WHERE finding.severity = 'flag') AS flagged,
               count(DISTINCT finding.asset_id) AS assets
        FROM financial_screener.data_findings AS finding
        WHERE finding.execution_id = run AND finding.state IN ('open', 'confirmed') GROUP BY finding.rule
    ), by_rule AS (
        SELECT known.rule, known.severity, coalesce(found.findings, 0) AS findings, coalesce(bars.quarantined, 0) AS quarantined,
               coalesce(found.flagged, 0) AS flagged, coalesce(found.assets, 0) AS assets
        FROM financial_screener.data_rules AS known
        LEFT JOIN bars USING (rule)
        LEFT JOIN found USING (rule)
        WHERE bars.rule IS NOT NULL OR found.rule IS NOT NULL
    )
    SELECT NULL, NULL, coalesce((SELECT sum(quality.bars_checked) FROM financial_screener.execution_quality AS quality
                                 WHERE quality.execution_id = run), 0)::bigint,
           coalesce(sum(by_rule.findings), 0)::bigint, coalesce(sum(by_rule.quarantined), 0)::bigint,
           coalesce(sum(by_rule.flagged), 0)::bigint,
           (SELECT count(DISTINCT finding.asset_id) FROM financial_screener.data_findings AS finding
            WHERE finding.execution_id = run AND finding.state IN ('open', 'confirmed'))
    FROM by_rule
    UNION ALL
    SELECT by_rule.rule, by_rule.severity, NULL, by_rule.findings, by_rule.quarantined, by_rule.flagged, by_rule.assets FROM by_rule
    ORDER BY 1 NULLS FIRST
$$;

CREATE VIEW financial_screener.v_quality_report AS
SELECT run.run_name, run.execution_id, run.started_at, report.rule, report.severity, report.bars_checked, report.findings,
       report.quarantined, report.flagged, report.assets
FROM financial_screener.process_executions AS run
CROSS JOIN LATERAL financial_screener.quality_report(run.execution_id) AS report
WHERE run.started_at > now() - interval '7 days'
ORDER BY run.started_at DESC, report.rule NULLS FIRST;
COMMENT ON VIEW financial_screener.v_quality_report IS 'quality_report of the runs of the last seven days; rule NULL: in all.';

-- A person's word that a finding is none: it stays so, and the bars that it set aside come back as the vendor had them. How many did.
CREATE FUNCTION financial_screener.release_finding(finding bigint) RETURNS integer
LANGUAGE plpgsql AS $$
DECLARE
    known financial_screener.data_findings;
    scope text;
    stored integer := 0;
BEGIN
    SELECT * INTO known FROM financial_screener.data_findings WHERE id = finding FOR UPDATE;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'release_finding: there is no finding %', finding USING ERRCODE = 'invalid_parameter_value';
    END IF;
    SELECT rule.scope INTO scope FROM financial_screener.data_rules AS rule WHERE rule.rule = known.rule;
    IF scope = 'row' THEN
        RAISE EXCEPTION 'release_finding: finding % is of a row that cannot be a bar (%)', finding, known.rule
            USING ERRCODE = 'invalid_parameter_value';
    END IF;
    PERFORM FROM financial_screener.asset_processing_state WHERE asset_id = known.asset_id FOR UPDATE;
    UPDATE financial_screener.data_findings SET state = 'accepted', changed_at = clock_timestamp() WHERE id = finding;
    WITH released AS (
        UPDATE financial_screener.quarantined_bars AS bar SET released_at = clock_timestamp()
        WHERE bar.finding_id = finding AND bar.released_at IS NULL
        RETURNING bar.asset_id, bar.date, bar.bar
    )
    INSERT INTO financial_screener.stock_prices (asset_id, date, open, high, low, close, adj_close, volume)
    SELECT released.asset_id, released.date, (bar ->> 'open')::float8, (bar ->> 'high')::float8, (bar ->> 'low')::float8,
           (bar ->> 'close')::float8, (bar ->> 'adjusted_close')::float8, (bar ->> 'volume')::bigint
    FROM released
    ON CONFLICT (asset_id, date) DO NOTHING;
    GET DIAGNOSTICS stored = ROW_COUNT;
    IF stored > 0 THEN
        UPDATE financial_screener.asset_processing_state AS state
        SET prices_changed_at = clock_timestamp(), prices_first_date = bars.first_date, prices_last_date = bars.last_date
        FROM (
            SELECT min(date) AS first_date, max(date) AS last_date
            FROM financial_screener.stock_prices WHERE asset_id = known.asset_id
        ) AS bars
        WHERE state.asset_id = known.asset_id;
    END IF;
    RETURN stored;
END
$$;
REVOKE EXECUTE ON FUNCTION financial_screener.release_finding(bigint) FROM PUBLIC;

-- Judges by the rules of scope cross what a run got of some exchanges: against other sources, other listings, the stored bars. How many
-- findings stand. Findings of these rules are about no day.
CREATE FUNCTION financial_screener.judge_across(run text, exchange_ids smallint[]) RETURNS integer
LANGUAGE sql AS $$
    WITH rules AS (
        SELECT rule, severity, parameters, sentence FROM financial_screener.data_rules WHERE scope = 'cross'
    ), judged AS (
        SELECT asset.*, state.prices_last_date, state.last_fundamental_update::date AS updated_on, unit.currency AS major, unit.per_major,
               state.fundamentals_execution_id = run AS has_fundamentals, state.prices_execution_id = run AS has_prices
        FROM financial_screener.assets AS asset
        JOIN financial_screener.asset_processing_state AS state ON state.asset_id = asset.id
        LEFT JOIN LATERAL financial_screener.unit_of(asset.currency) AS unit ON true
        WHERE asset.exchange_id = ANY (exchange_ids) AND asset.kind = 'listing'
          AND (state.fundamentals_execution_id = run OR state.prices_execution_id = run)
    ), newest AS (
        SELECT judged.id, bar.close / judged.per_major AS close, judged.prices_last_date AS day
        FROM judged
        JOIN financial_screener.stock_prices AS bar ON bar.asset_id = judged.id AND bar.date = judged.prices_last_date
        WHERE judged.per_major IS NOT NULL
    ), found AS (
        SELECT judged.id AS asset_id, 'dividend_currency' AS rule, NULL::float8 AS measured, NULL::float8 AS expected,
               'dividends in ' || string_agg(DISTINCT action.currency, ', ') || ' of a listing in ' || judged.currency
               || ', and no rate is known' AS message
        FROM judged
        JOIN financial_screener.corporate_actions AS action
            ON action.asset_id = judged.id AND action.currency <> judged.currency AND action.withdrawn_at IS NULL
        WHERE judged.has_prices AND financial_screener.convert_money(1, action.currency, judged.currency, action.ex_date) IS NULL
        GROUP BY judged.id, judged.currency
        UNION ALL
        (SELECT DISTINCT ON (judged.id) judged.id, rules.rule, newest.close, bar.close / unit.per_major,
               'closes at ' || round(newest.close::numeric, 4) || ' where ' || other.ticker || ' closes at '
               || round((bar.close / unit.per_major)::numeric, 4)
        FROM judged
        JOIN rules ON rules.rule = 'listings_differ'
        JOIN newest ON newest.id = judged.id
        JOIN financial_screener.assets AS other ON other.isin = judged.isin AND other.id <> judged.id AND other.listed
        JOIN financial_screener.asset_processing_state AS known ON known.asset_id = other.id
        JOIN LATERAL financial_screener.unit_of(other.currency) AS unit ON unit.currency = judged.major
        JOIN financial_screener.stock_prices AS bar ON bar.asset_id = other.id AND bar.date = known.prices_last_date
        WHERE judged.has_prices AND judged.isin IS NOT NULL
          AND abs(known.prices_last_date - newest.day) <= (rules.parameters ->> 'days')::integer
          AND abs(ln(newest.close / (bar.close / unit.per_major))) > ln(1 + (rules.parameters ->> 'tolerance')::float8)
        ORDER BY judged.id, abs(ln(newest.close / (bar.close / unit.per_major))) DESC)
        UNION ALL
        SELECT judged.id, rules.rule, judged.market_cap::float8, (least(judged.shares_outstanding, 1e30)::float8 * newest.close),
               'market capitalisation ' || round(judged.market_cap) || ' of ' || round(judged.shares_outstanding) || ' shares at '
               || round(newest.close::numeric, 4)
        FROM judged
        JOIN rules ON rules.rule = 'market_cap_differs'
        JOIN newest ON newest.id = judged.id AND abs(newest.day - judged.updated_on) <= (rules.parameters ->> 'days')::integer
        WHERE judged.has_fundamentals AND judged.market_cap > 0 AND judged.shares_outstanding > 0
          AND coalesce(judged.market_cap_currency, judged.major) = judged.major
          -- Differences of logarithms, as a quotient of what the vendor may say can be beyond any number.
          AND abs(ln(greatest(judged.market_cap, 1e-30)::float8) - ln(greatest(judged.shares_outstanding, 1e-30)::float8) - ln(newest.close))
              > ln((rules.parameters ->> 'factor')::float8)
        UNION ALL
        SELECT judged.id, rules.rule, judged.vendor_week_52_high, year.high,
               'the vendor''s year is ' || judged.vendor_week_52_low || ' to ' || judged.vendor_week_52_high || ', that of the bars '
               || year.low || ' to ' || year.high
        FROM judged
        JOIN rules ON rules.rule = 'year_range_differs'
        CROSS JOIN LATERAL (
            SELECT max(bar.high) AS high, min(bar.low) AS low, count(*) AS bars FROM financial_screener.stock_prices AS bar
            WHERE bar.asset_id = judged.id AND bar.date > judged.updated_on - 365
        ) AS year
        WHERE judged.has_fundamentals AND year.bars >= 200
          AND judged.vendor_week_52_high > 0 AND judged.vendor_week_52_low > 0
          AND abs(judged.prices_last_date - judged.updated_on) <= (rules.parameters ->> 'days')::integer
          AND greatest(abs(ln(greatest(judged.vendor_week_52_high, 1e-30)) - ln(year.high)),
                       abs(ln(greatest(judged.vendor_week_52_low, 1e-30)) - ln(year.low)))
              > ln((rules.parameters ->> 'factor')::float8)
          -- Its own prices are adjusted for splits, the bars are not.
          AND NOT EXISTS (
              SELECT FROM financial_screener.corporate_actions AS action
              WHERE action.asset_id = judged.id AND action.kind = 'split' AND action.ex_date > judged.updated_on - 366
          )
        UNION ALL
        SELECT judged.id, 'currency_missing', NULL, NULL, NULL FROM judged
        WHERE judged.has_fundamentals AND judged.statements_currency IS NULL AND judged.eodhd_financials IS NOT NULL
        UNION ALL
        SELECT judged.id, 'shares_missing', judged.shares_outstanding::float8, NULL, NULL FROM judged
        WHERE judged.has_fundamentals AND judged.type = 'Common Stock' AND coalesce(judged.shares_outstanding, 0) <= 0
        UNION ALL
        SELECT judged.id, rules.rule, judged.updated_on - judged.most_recent_quarter, (rules.parameters ->> 'days')::float8,
               'the most recent quarter ended ' || judged.most_recent_quarter
        FROM judged JOIN rules ON rules.rule = 'quarter_old'
        WHERE judged.has_fundamentals AND judged.listed
          AND judged.updated_on - judged.most_recent_quarter > (rules.parameters ->> 'days')::integer
        UNION ALL
        SELECT judged.id, rules.rule, sheet.assets, sheet.others,
               'assets of ' || sheet.assets || ' are not liabilities and equity of ' || sheet.others || ' on ' || sheet.day
        FROM judged
        JOIN rules ON rules.rule = 'balance_unequal'
        CROSS JOIN LATERAL (
            SELECT quarter.key AS day, (quarter.value ->> 'totalAssets')::float8 AS assets,
                   (quarter.value ->> 'totalLiab')::float8 + (quarter.value ->> 'totalStockholderEquity')::float8
                   + coalesce((quarter.value ->> 'noncontrollingInterestInConsolidatedEntity')::float8, 0) AS others
            FROM jsonb_each(
                CASE WHEN jsonb_typeof(judged.eodhd_financials #> '{Balance_Sheet,quarterly}') = 'object'
                     THEN judged.eodhd_financials #> '{Balance_Sheet,quarterly}' ELSE '{}' END
            ) AS quarter
            WHERE jsonb_typeof(quarter.value) = 'object' AND quarter.value ->> 'totalAssets' ~ '^-?[0-9]{1,30}(\.[0-9]{1,20})?$'
              AND quarter.value ->> 'totalLiab' ~ '^-?[0-9]{1,30}(\.[0-9]{1,20})?$'
              AND quarter.value ->> 'totalStockholderEquity' ~ '^-?[0-9]{1,30}(\.[0-9]{1,20})?$'
              AND coalesce(quarter.value ->> 'noncontrollingInterestInConsolidatedEntity', '0') ~ '^-?[0-9]{1,30}(\.[0-9]{1,20})?$'
            ORDER BY quarter.key DESC LIMIT 1
        ) AS sheet
        WHERE judged.has_fundamentals AND sheet.assets > 0
          AND abs(sheet.others - sheet.assets) > (rules.parameters ->> 'tolerance')::float8 * sheet.assets
    ), kept AS (
        INSERT INTO financial_screener.data_findings AS known (asset_id, rule, severity, measured, expected, message, execution_id)
        SELECT found.asset_id, found.rule, rules.severity, found.measured, found.expected, coalesce(found.message, rules.sentence), run
        FROM found JOIN rules USING (rule)
        ORDER BY found.asset_id, found.rule
        ON CONFLICT (asset_id, exchange_id, rule, date_from) DO UPDATE
        SET measured = excluded.measured, expected = excluded.expected, message = excluded.message, execution_id = excluded.execution_id,
            changed_at = now(),
            state = CASE WHEN known.state = 'released' THEN 'open'
                         WHEN known.state = 'open' AND known.execution_id <> excluded.execution_id THEN 'confirmed'
                         ELSE known.state END
        RETURNING known.asset_id, known.rule
    ), gone AS (
        UPDATE financial_screener.data_findings AS known
        SET state = 'released', execution_id = run, changed_at = now()
        FROM judged, rules
        WHERE known.asset_id = judged.id AND known.rule = rules.rule AND known.state IN ('open', 'confirmed')
          AND CASE WHEN known.rule IN ('dividend_currency', 'listings_differ') THEN judged.has_prices ELSE judged.has_fundamentals END
          AND NOT EXISTS (SELECT FROM found WHERE found.asset_id = known.asset_id AND found.rule = known.rule)
    )
    SELECT count(*)::integer FROM kept
$$;
REVOKE EXECUTE ON FUNCTION financial_screener.judge_across(text, smallint[]) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION financial_screener.judge_across(text, smallint[]) TO screener_collector;

GRANT SELECT ON financial_screener.data_rules, financial_screener.data_findings, financial_screener.data_finding_events,
    financial_screener.execution_quality, financial_screener.v_data_findings, financial_screener.v_quality_report
    TO screener_operator, screener_collector, screener_analyzer;
REVOKE EXECUTE ON FUNCTION financial_screener.quality_report(text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION financial_screener.quality_report(text) TO screener_operator, screener_collector, screener_analyzer;
GRANT INSERT, UPDATE ON financial_screener.data_findings, financial_screener.execution_quality TO screener_collector;
GRANT INSERT ON financial_screener.data_finding_events TO screener_collector;
