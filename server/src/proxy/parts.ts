import type { Clock } from '../clock.ts'
import type { Limiter } from '../db/rate-limit.ts'
import type { Pool } from '../db/sql.ts'
import type { Ids } from '../ids.ts'
import type { Log } from '../log.ts'
import type { Replies } from '../replies.ts'
import type { Catalogue } from './catalogue.ts'
import type { Egress } from './egress.ts'
import type { Recorder } from './record.ts'
import type { Usage } from './usage.ts'

/** What a call needs of the server. */
export type ProxyParts = {
  system: Pool
  log: Log
  clock: Clock
  ids: Ids
  limiter: Limiter
  catalogue: Catalogue
  recorder: Recorder
  egress: Egress
  usage: Usage
  replies: Replies
}
