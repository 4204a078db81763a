"""A stand-in for the data vendor: the same routes, shapes, quirks, costs and limits, over made-up
and real bars.

It is a judge. It counts calls by itself and never imports anything of the programs that it judges.
It reads no database and makes no outbound connection.

    server     HTTP routes, the order of refusals, the admin routes
    accounting what the account has used, the day's and the minute's limit
    costs      what a request of each endpoint costs
    plans      which endpoint belongs to which plan
    clocks     the data clock and the accounting clock
    arrivals   every request that came, with the counter it found
    script     what is to go wrong: a seed, faults of answers, events
    faults     which answers are late, wrong, cut or refused
    bodies     what a wrong body looks like
    account_events  other clients of the key, limits and endpoints that change
    world      exchanges, listings, sessions and markets put together, as of the data clock
    exchanges  the exchanges that the vendor lists
    sessions   trading days and publication times
    universe   which codes an exchange lists
    market     bars and corporate actions of a whole exchange
    companies  real bars of six companies, where their file is installed
    fundamentals, render, noise
"""
