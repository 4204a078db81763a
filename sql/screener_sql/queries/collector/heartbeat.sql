-- Whether the session, and with it the lock, is still there.
SELECT 1
