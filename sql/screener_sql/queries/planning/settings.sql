-- Compiling costs more than it brings here, and sorts of a million assets fit into this.
SELECT set_config('jit', 'off', true), set_config('work_mem', '64MB', true)
