-- How many calls of an action may be under way at once. The version before reads and writes rows without it, which
-- is no limit.

alter table actions add column concurrency_limit integer;
