-- Until the transaction ends: compiling costs more than it brings here, and sorts of a million assets fit into this memory. sorts: off for
-- discovery, whose few kinds of assets are counted in a hash; Postgres expects as many as there are assets, and would sort them all.
SELECT set_config('jit', 'off', true), set_config('work_mem', '64MB', true), set_config('enable_sort', %(sorts)s::text, true)
