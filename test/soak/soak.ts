import { print } from './figures.ts'
import { soakIdle } from './idle.ts'
import { soakKills } from './kills.ts'
import { soakCalls } from './million.ts'

/**
 * The long runs, `npm run test:soak`: each prints its figures, and fails when what must hold does not.
 * `-- kills`, `-- idle` and `-- calls=200000` run one of them.
 */
const [only] = process.argv.slice(2)
const calls = Number(/^calls=(\d+)$/.exec(only ?? '')?.[1] ?? 1_000_000)

if (only === undefined || only === 'kills') print('Kills and crashes under load', await soakKills())
if (only === undefined || only === 'idle') print('Idle connections', await soakIdle())
if (only === undefined || only.startsWith('calls')) print('Many calls', await soakCalls(calls))
