-- What was chosen for each exchange, for the rest of the transaction: the day since which bulk days serve, whether they fit
-- into the calls left, and the day on which they should come else; whole_pages: pages of fundamentals of the whole exchange.
CREATE TEMPORARY TABLE choice ON COMMIT DROP AS
SELECT exchange_id, group_name, nullif(prices_to, '-infinity') AS prices_to, nullif(actions_to, '-infinity') AS actions_to,
       prices_cut, splits_cut, dividends_cut, prices_fit, splits_fit, dividends_fit, prices_due_on, splits_due_on, dividends_due_on,
       whole_pages, correction
FROM jsonb_to_recordset(%(choices)s::jsonb) AS choice (
    exchange_id smallint, group_name text, prices_to date, actions_to date, prices_cut date, splits_cut date, dividends_cut date,
    prices_fit boolean, splits_fit boolean, dividends_fit boolean, prices_due_on date, splits_due_on date, dividends_due_on date,
    whole_pages integer, correction date)
