import type { Contract } from '@narrowapi/contract'
import type { Handlers } from '../http/handlers.ts'
import { actions } from './actions/handlers.ts'
import { apiKeys } from './api-keys/handlers.ts'
import { audit } from './audit/handlers.ts'
import { executions } from './executions/handlers.ts'
import { health } from './health/handlers.ts'
import { secrets } from './secrets/handlers.ts'
import { tokens } from './tokens/handlers.ts'
import { workspaces } from './workspaces/handlers.ts'
import { x } from './x/handlers.ts'

/** One line for every noun of the contract. */
export const handlers: Handlers<Contract> = {
  actions,
  tokens,
  executions,
  x,
  secrets,
  apiKeys,
  workspaces,
  audit,
  health,
}
