"""A stand-in for the data vendor: the same routes, shapes, quirks, costs and limits, over made-up
and real bars.

It is a judge. It counts calls by itself and never imports anything of the programs that it judges.
It reads no database and makes no outbound connection.

    server     HTTP routes, the order of refusals, the admin routes
    accounting what the account has used, the day's and the minute's limit
    arrivals   every request that came, with the counter it found
    costs      what a request of each endpoint costs
    plans      which endpoint belongs to which plan
    clocks     the data clock and the accounting clock
    script     what is to go wrong (docs/simulator.md): a seed, faults of answers, events
    faults     which answers are late, wrong, cut or refused
    bodies     what a wrong body looks like
    account_events  other clients of the key, limits and endpoints that change
    events     what a script may say of market and universe
    world      everything put together, as of the data clock
    shown      what one exchange shows at a moment
    published  what was published last, for judges
    exchanges  the exchanges that the vendor lists
    references indices and rates of exchange
    sessions   trading days and publication times
    universe   which codes an exchange lists
    roll       which of them are there at a moment, and under which codes
    market     bars of a whole exchange, made-up, real and given
    actions    splits and dividends: what they do, when they are listed and applied
    series     series that a test hands in
    companies  real bars of six companies, where their file is installed
    fundamentals, render, noise
"""
