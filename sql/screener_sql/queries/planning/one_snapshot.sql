-- Makes every statement of the transaction see the same moment, so that what is stored is what was decided on.
SET TRANSACTION ISOLATION LEVEL REPEATABLE READ
