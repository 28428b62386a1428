-- The core: workspaces, credentials, secrets, actions, executions, audit. Ids are text in the C collation,
-- because a row then needs no mapping and text order is creation order.
--
-- Two roles read and write it, neither of them the owner. `narrowapi_app` serves the management API: row-level
-- security shows it only the workspace named by a setting that is local to the transaction. `narrowapi_system`
-- serves what has no workspace yet or many at once: looking up credentials, recording executions, clean-up.

create domain object_id as text collate "C";
create domain moment as timestamptz(3);

create table installation (
  only_one boolean primary key default true check (only_one),
  key_check bytea not null,
  credential_pepper bytea not null,
  cursor_mac bytea not null,
  created_at moment not null
);

create table plans (
  tier text primary key,
  requests_per_minute integer not null,
  burst_percent integer not null,
  active_actions integer,
  monthly_executions integer,
  self_assignable boolean not null
);

-- Any operator may edit these rows. Null means no limit.
insert into plans values
  ('self_hosted', 100000, 100, null, null, true),
  ('free', 60, 0, 5, 300, true),
  ('starter', 1000, 20, null, null, true),
  ('pro', 5000, 30, null, null, true),
  ('business', 10000, 40, null, null, true),
  ('agency', 20000, 50, null, null, true),
  ('enterprise', 100000, 100, null, null, true);

create table workspaces (
  id object_id primary key,
  name text not null,
  slug text not null unique,
  tier text not null references plans,
  status text not null check (status in ('active', 'paused')),
  settings json not null,
  metadata jsonb not null,
  created_at moment not null,
  updated_at moment not null
);

create table api_keys (
  workspace_id object_id not null references workspaces,
  id object_id not null,
  name text not null,
  hash text not null,
  prefix text not null,
  last_four text not null,
  scopes text[] not null,
  rate_limit_tier text references plans,
  allowed_ips text[],
  expires_at moment,
  last_used_at moment,
  revoked_at moment,
  created_by object_id,
  metadata jsonb not null,
  created_at moment not null,
  updated_at moment not null,
  primary key (workspace_id, id)
);
create index api_keys_by_hash on api_keys (hash);

create table secrets (
  workspace_id object_id not null references workspaces,
  id object_id not null,
  name text not null,
  type text not null,
  version integer not null,
  key_id text not null,
  sealed bytea not null,
  fingerprint text not null,
  expires_at moment,
  last_rotated_at moment not null,
  metadata jsonb not null,
  created_at moment not null,
  updated_at moment not null,
  primary key (workspace_id, id)
);

create table actions (
  workspace_id object_id not null references workspaces,
  id object_id not null,
  name text not null,
  slug text not null,
  status text not null check (status in ('draft', 'active', 'paused', 'archived')),
  version integer not null,
  definition json not null,
  secret_id object_id,
  rate_limit_rpm integer not null,
  rate_limit_rph integer,
  sunset_at moment,
  tags text[] not null,
  metadata jsonb not null,
  created_at moment not null,
  updated_at moment not null,
  primary key (workspace_id, id),
  constraint actions_slug unique (workspace_id, slug),
  constraint actions_secret foreign key (workspace_id, secret_id) references secrets
);
create index actions_by_secret on actions (workspace_id, secret_id) where secret_id is not null;
create index actions_active on actions (workspace_id) where status = 'active';

create table action_versions (
  workspace_id object_id not null,
  action_id object_id not null,
  version integer not null,
  definition json not null,
  created_by object_id,
  created_at moment not null,
  primary key (workspace_id, action_id, version),
  foreign key (workspace_id, action_id) references actions on delete cascade
);

create table tokens (
  workspace_id object_id not null references workspaces,
  id object_id not null,
  name text not null,
  hash text not null,
  previous_hash text,
  previous_expires_at moment,
  prefix text not null,
  last_four text not null,
  not_before moment,
  expires_at moment,
  max_uses integer,
  uses integer not null default 0,
  allowed_ips text[],
  rate_limit_rpm integer,
  last_used_at moment,
  revoked_at moment,
  created_by object_id,
  metadata jsonb not null,
  created_at moment not null,
  updated_at moment not null,
  primary key (workspace_id, id),
  check (uses <= max_uses)
);
create index tokens_by_hash on tokens (hash);
create index tokens_by_previous_hash on tokens (previous_hash) where previous_hash is not null;

-- No reference to actions: a token outlives the actions it names, which it then cannot find.
create table token_grants (
  workspace_id object_id not null,
  token_id object_id not null,
  action_id object_id not null,
  position integer not null,
  constraints json not null,
  fixed_input json,
  max_uses integer,
  uses integer not null default 0,
  primary key (workspace_id, token_id, action_id),
  foreign key (workspace_id, token_id) references tokens on delete cascade,
  check (uses <= max_uses)
);
create index token_grants_by_action on token_grants (workspace_id, action_id);

-- No references at all: an execution is history and outlives everything it names.
-- Payloads are `json`, which stores what `jsonb` refuses, so that one odd body cannot fail a whole group.
create table executions (
  workspace_id object_id not null,
  id object_id not null,
  action_id object_id not null,
  version integer not null,
  token_id object_id,
  status text not null,
  source text not null,
  input json,
  output json,
  error json,
  upstream json,
  decision json,
  started_at moment,
  completed_at moment,
  duration_ms double precision,
  lease_expires_at moment,
  created_at moment not null,
  updated_at moment not null,
  primary key (workspace_id, id)
) with (fillfactor = 85);
create index executions_by_action on executions (workspace_id, action_id, id desc);
create index executions_by_token on executions (workspace_id, token_id, id desc);
create index executions_leased on executions (lease_expires_at) where lease_expires_at is not null;

-- One engine for every quota; a row is made by its first use.
create table counters (
  workspace_id object_id not null,
  subject_type text not null,
  subject_id object_id not null,
  feature text not null,
  window_start moment not null,
  used bigint not null,
  primary key (workspace_id, subject_type, subject_id, feature, window_start)
);

-- `reply` is sealed: it may hold a credential that is shown once.
create table idempotency_keys (
  workspace_id object_id not null,
  credential_id object_id not null,
  method text not null,
  path text not null,
  key text not null,
  fingerprint text not null,
  execution_id object_id,
  reply bytea,
  lease_expires_at moment,
  expires_at moment not null,
  primary key (workspace_id, credential_id, method, path, key)
);
create index idempotency_keys_expiry on idempotency_keys (expires_at);

create table audit_heads (
  workspace_id object_id primary key references workspaces,
  seq bigint not null,
  hash text not null
);

create table audit_events (
  workspace_id object_id not null references workspaces,
  id object_id not null,
  seq bigint not null,
  action text not null,
  occurred_at moment not null,
  outcome text not null,
  actor json not null,
  targets json not null,
  changes json not null,
  context json not null,
  actor_id object_id,
  target_ids text[] not null,
  prev_hash text not null,
  hash text not null,
  created_at moment not null,
  primary key (workspace_id, id),
  unique (workspace_id, seq)
);
create index audit_events_by_actor on audit_events (workspace_id, actor_id, id desc);

-- Tells every server what it remembers wrongly. Only the columns that decide about a call count: a server
-- writes uses and times of use itself, many times a second.
create function tell_authority() returns trigger language plpgsql as $$
begin
  perform pg_notify('narrowapi_authority', tg_table_name || ':' || case when tg_op = 'DELETE' then old.id else new.id end);
  return null;
end $$;

create trigger tell_authority after delete or update of status, settings, tier on workspaces
  for each row execute function tell_authority();
create trigger tell_authority
  after delete or update of scopes, rate_limit_tier, allowed_ips, expires_at, revoked_at on api_keys
  for each row execute function tell_authority();
create trigger tell_authority after delete or update of version, expires_at on secrets
  for each row execute function tell_authority();
create trigger tell_authority after insert or delete or update on actions
  for each row execute function tell_authority();
create trigger tell_authority
  after delete or update of hash, previous_hash, previous_expires_at, not_before, expires_at, allowed_ips,
    rate_limit_rpm, revoked_at on tokens
  for each row execute function tell_authority();

-- Tenancy. The setting is read once for a statement, not once for a row.
create function current_workspace() returns text language sql stable parallel safe as
  $$ select current_setting('narrowapi.workspace_id', true) $$;

do $$
declare
  tenant record;
begin
  for tenant in
    select table_name, case when table_name = 'workspaces' then 'id' else 'workspace_id' end as owner_column
    from information_schema.tables
    where table_schema = current_schema() and table_type = 'BASE TABLE'
      and table_name not in ('installation', 'plans', 'migrations')
  loop
    execute format('alter table %I enable row level security', tenant.table_name);
    execute format('alter table %I force row level security', tenant.table_name);
    execute format(
      'create policy own_workspace on %I to narrowapi_app using (%I = (select current_workspace()))',
      tenant.table_name, tenant.owner_column);
    execute format('create policy every_workspace on %I to narrowapi_system using (true)', tenant.table_name);
  end loop;
end $$;

grant select on plans to narrowapi_app, narrowapi_system;
grant select, update on workspaces to narrowapi_app;
grant select, insert, update on api_keys to narrowapi_app;
grant select, insert, update, delete on secrets, actions, tokens, token_grants to narrowapi_app;
grant select, insert on action_versions to narrowapi_app;
grant select on executions, counters to narrowapi_app;
grant select, insert, update, delete on idempotency_keys to narrowapi_app;
grant select, insert, update on audit_heads to narrowapi_app, narrowapi_system;
grant select, insert on audit_events to narrowapi_app, narrowapi_system;

grant select, insert on workspaces, installation to narrowapi_system;
grant select, insert, update on api_keys to narrowapi_system;
grant select on secrets, actions to narrowapi_system;
grant select, update on tokens, token_grants to narrowapi_system;
grant select, insert, update on executions, counters to narrowapi_system;
grant select, insert, update, delete on idempotency_keys to narrowapi_system;
