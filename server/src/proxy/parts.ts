import type { Clock } from '../clock.ts'
import type { Limiter } from '../db/rate-limit.ts'
import type { Pool } from '../db/sql.ts'
import type { Ids } from '../ids.ts'
import type { Log } from '../log.ts'
import type { CallMetrics } from '../metrics/calls.ts'
import type { Replies } from '../replies.ts'
import type { Attempts } from './attempts.ts'
import type { Breakers } from './breaker.ts'
import type { Catalogue } from './catalogue.ts'
import type { LoopGuard } from './loop.ts'
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
  attempts: Attempts
  breakers: Breakers
  loopGuard: LoopGuard
  usage: Usage
  replies: Replies
  metrics: { calls: CallMetrics }
}
