-- Executions by month, so that a month that is over can be dropped whole: deleting its rows one by one would cost
-- a write for each of them and in its indexes, and leave the space to vacuum.
--
-- Ids carry their time and sort by it, so the ranges are ranges of ids: the primary key stays, a look-up by id
-- finds its partition from the id alone, and a list that is sorted by id walks the partitions in order.
--
-- That order is why there is no default partition: with one, every list reads the first rows of all partitions
-- (measured with 15: 63 pages instead of 17). The ranges have no gap instead. `executions_earlier` takes what lies
-- before the first month and `executions_later` what lies behind the last, so ids of a clock that is far off find
-- a place too. Months are made and dropped by `db/months.ts`.
--
-- No row is copied: the table of before becomes `executions_earlier`. It is locked while it is read twice, to find
-- rows beyond its range and to make sure that there are none, which took a second for a million rows. A server of the
-- previous version waits for that long and then goes on: its statements name `executions`, which has the same columns
-- and the same key.

-- The first id of a millisecond: 48 bits of time and 80 zeros in 22 base62 digits, as `ids.ts` writes them.
create function first_id(prefix text, at timestamptz) returns object_id
language plpgsql immutable strict parallel safe as $$
declare
  alphabet constant text := '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz';
  left_over numeric := floor(extract(epoch from at) * 1000) * 1208925819614629174706176; -- 2^80
  digits text := '';
begin
  for position in 1..22 loop
    digits := substr(alphabet, mod(left_over, 62)::integer + 1, 1) || digits;
    left_over := div(left_over, 62);
  end loop;
  return prefix || '_' || digits;
end $$;

lock table executions in access exclusive mode;
alter table executions rename to executions_earlier;
alter index executions_pkey rename to executions_earlier_pkey;
alter index executions_by_action rename to executions_earlier_by_action;
alter index executions_by_token rename to executions_earlier_by_token;
alter index executions_leased rename to executions_earlier_leased;

create table executions (like executions_earlier, primary key (workspace_id, id)) partition by range (id);
create index executions_by_action on executions (workspace_id, action_id, id desc);
create index executions_by_token on executions (workspace_id, token_id, id desc);
create index executions_leased on executions (lease_expires_at) where lease_expires_at is not null;

alter table executions enable row level security;
alter table executions force row level security;
-- The first migration's policies and grants, and one more grant: only the job of `workers/retention.ts` deletes.
create policy own_workspace on executions to narrowapi_app
  using (workspace_id = (select current_workspace()));
create policy every_workspace on executions to narrowapi_system using (true);
grant select on executions to narrowapi_app;
grant select, insert, update, delete on executions to narrowapi_system;

-- A partition is reached through `executions` only: neither role may touch it, and were they granted it by mistake,
-- they would see no row. It is not forced upon the owner, who moves rows between partitions.
revoke all on executions_earlier from narrowapi_app, narrowapi_system;
drop policy own_workspace on executions_earlier;
drop policy every_workspace on executions_earlier;
alter table executions_earlier no force row level security;

create table executions_later (like executions including all) with (fillfactor = 85);
alter table executions_later enable row level security;

-- Where there are executions already, the month they are in stays with them, and the next one is the first.
do $$
declare
  this_month constant timestamp := date_trunc('month', now() at time zone 'UTC');
  first_month constant timestamptz :=
    (case when exists (select from executions_earlier) then this_month + interval '1 month' else this_month end)
    at time zone 'UTC';
  border constant text := first_id('exec', first_month);
begin
  -- Both have the same columns in the same order. Only a clock that is far ahead wrote such rows.
  with ahead as (delete from executions_earlier where id >= border returning *)
  insert into executions_later select * from ahead;
  execute format('alter table executions attach partition executions_earlier for values from (minvalue) to (%L)', border);
  execute format('alter table executions attach partition executions_later for values from (%L) to (maxvalue)', border);
end $$;

-- Without a number, nothing of a workspace would count as kept.
alter table workspaces add constraint workspaces_retention
  check (coalesce((settings->>'execution_retention_days')::integer, 0) between 1 and 3650);
