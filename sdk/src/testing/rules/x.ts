import type { Action, Callable, Execution, Grant, Token } from '../../generated/client.ts'
import { apiError, type MockApiError } from '../api-error.ts'
import type { Fields } from '../schema.ts'
import { blank, getById, type State, type StoredToken } from '../state.ts'
import { shownSchema } from './actions.ts'
import { holderOf, type Rule, type RuleCall } from './call.ts'
import { judge } from './judge.ts'
import { masked, previewOf } from './preview.ts'

/** What the holder of a token may ask. `x.execute` is in `execute.ts`. */
export const x: Record<string, Rule> = {
  manifest: (call) => {
    const { state } = call
    checkRunning(state)
    const { token, until } = holderOf(call)
    const callables = token.grants.flatMap((grant): Callable[] => {
      const action = state.actions.find(({ id }) => id === grant.action_id)
      if (action?.status !== 'active' || isSunset(action, state.timestamp())) return []
      const callable = callableOf(action, grant, token)
      // Listed means callable: what is used up is neither.
      return callable.limits.uses_left === 0 ? [] : [callable]
    })
    const { id, name, rate_limit_rpm } = token
    const expires_at = until ?? token.expires_at
    const uses_left = usesLeft(token.max_uses, token.uses)
    return { object: 'manifest', token: { id, name, expires_at, uses_left, rate_limit_rpm }, callables }
  },

  getExecution: (call) => {
    const { state, params } = call
    checkRunning(state)
    const token = holderOf(call).token
    return getById(
      'execution',
      state.executions.filter(({ token_id }) => token_id === token.id),
      params.id,
    )
  },

  get: (call) => {
    const { action, grant } = getCallable(call)
    return callableOf(action, grant, holderOf(call).token)
  },

  dryRun: (call) => {
    const { action, grant } = getCallable(call)
    const token = holderOf(call).token
    const preview = previewOf(action, judge(action, grant, token, call.body, call.state.now()))
    if (preview.allowed && usesLeftOf(grant, token) === 0) throw exhausted()
    return preview
  },
}

const checkRunning = ({ workspace }: State): void => {
  if (workspace.status === 'paused') throw paused('workspace')
}

const getCallable = (call: RuleCall): { action: Action; grant: Grant } => {
  const { state, params } = call
  const { token } = holderOf(call)
  const { granted, refusal } = findCallable(state, token, params.action_id ?? '')
  if (!granted || refusal) throw refusal
  return granted
}

type Found =
  | { granted: { action: Action; grant: Grant }; refusal: MockApiError | null }
  | { granted: null; refusal: MockApiError }

/** What is not granted does not exist for a token, so that a paused action of others cannot be told from none. */
export const findCallable = (state: State, token: Token, name: string): Found => {
  const action = state.actions.find(({ id, slug }) => id === name || slug === name)
  const grant = action && token.grants.find(({ action_id }) => action_id === action.id)
  const isPaused = state.workspace.status === 'paused'
  if (!action || !grant || (action.status !== 'active' && action.status !== 'paused')) {
    const message = 'This token may run no action of this name'
    return { granted: null, refusal: isPaused ? paused('workspace') : apiError('not_found', { message }) }
  }
  const closed =
    action.status === 'paused'
      ? paused('action')
      : isSunset(action, state.timestamp())
        ? apiError('sunset', { message: 'This action is no longer served' })
        : null
  return { granted: { action, grant }, refusal: isPaused ? paused('workspace') : closed }
}

const isSunset = ({ sunset_at }: Action, now: string): boolean => sunset_at !== null && sunset_at <= now

const paused = (what: 'workspace' | 'action') => apiError('paused', { message: `The ${what} is paused` })

const exhausted = () =>
  apiError('token_exhausted', { message: 'This token has no uses left; ask for a new one' })

const callableOf = (action: Action, grant: Grant, token: Token): Callable => {
  const { input_schema, rate_limit_rpm } = action
  const { examples } = input_schema
  return {
    object: 'callable',
    id: action.id,
    slug: action.slug,
    name: action.name,
    description: action.description,
    version: action.version,
    input_schema: shownSchema(input_schema, { ...action.fixed_input, ...grant.fixed_input }),
    output_schema: action.output_schema,
    constraints: [...action.constraints, ...grant.constraints],
    annotations: action.annotations,
    examples: Array.isArray(examples) ? examples : [],
    limits: {
      rate_limit_rpm: Math.min(token.rate_limit_rpm ?? rate_limit_rpm, rate_limit_rpm),
      rate_limit_rph: action.rate_limit_rph,
      concurrency_limit: action.concurrency_limit,
      uses_left: usesLeftOf(grant, token),
    },
  }
}

/** What is left of a limit; null when there is none. */
const usesLeft = (limit: number | null, used: number): number | null =>
  limit === null ? null : Math.max(0, limit - used)

const usesLeftOf = (grant: Grant, token: Token): number | null => {
  const left = [usesLeft(token.max_uses, token.uses), usesLeft(grant.max_uses, grant.uses)].filter(
    (one) => one !== null,
  )
  return left.length === 0 ? null : Math.min(...left)
}

/** One call from its checks to its end, and the execution that records it. */
export class Run {
  readonly #state: State
  readonly #token: StoredToken
  readonly action: Action
  readonly #grant: Grant
  readonly #execution: Execution
  readonly #startedAt: number
  wasSent = false

  constructor(state: State, token: StoredToken, { action, grant }: { action: Action; grant: Grant }) {
    this.#state = state
    this.#token = token
    this.action = action
    this.#grant = grant
    this.#startedAt = state.now().getTime()
    this.#execution = {
      ...blank<Execution>('Execution'),
      ...state.head('exec'),
      status: 'running',
      action_id: action.id,
      version: action.version,
      token_id: token.id,
      input: null,
      output: null,
    }
  }

  get id(): string {
    return this.#execution.id
  }

  /** Refused before anything was sent: recorded as such. */
  reject(error: MockApiError): MockApiError {
    const { rule } = error.fields
    this.#end('rejected', {
      error: { code: error.code, message: error.message, rule: typeof rule === 'string' ? rule : null },
    })
    return error
  }

  /** Judges the input and takes a use of whatever is limited. */
  start(sent: Fields): void {
    const execution = this.#execution
    const judged = judge(this.action, this.#grant, this.#token, sent, this.#state.now())
    const { decision, input, message } = judged
    Object.assign(execution, { input: masked(this.action, input), decision })
    if (!decision.allowed) {
      const { rule, path, accepted } = decision
      throw apiError('policy_denied', { message, rule, path, accepted })
    }
    if (usesLeftOf(this.#grant, this.#token) === 0) throw exhausted()
    this.#token.uses += 1
    this.#grant.uses += 1
    this.#token.last_used_at = execution.created_at
    execution.started_at = execution.created_at
  }

  /** What the upstream did, or that it did not. */
  end(outcome: {
    status: number | null
    bytes: number
    output: unknown
    error: { code: string; message: string } | null
  }): void {
    const { status, bytes, output, error } = outcome
    this.wasSent = true
    this.#end(error ? 'failed' : 'completed', {
      output,
      error: error && { ...error, rule: null },
      upstream: { status, duration_ms: this.#elapsed(), attempts: 1, bytes },
    })
  }

  #end(status: 'completed' | 'failed' | 'rejected', facts: Partial<Execution>): void {
    const at = this.#state.timestamp()
    const { payload_capture } = this.#state.workspace.settings
    const keeps = payload_capture === 'all' || (payload_capture === 'errors' && status !== 'completed')
    Object.assign(this.#execution, facts, { status, completed_at: at, duration_ms: this.#elapsed() })
    if (!keeps) Object.assign(this.#execution, { input: null, output: null })
    this.#state.executions.push(this.#execution)
  }

  #elapsed(): number {
    return this.#state.now().getTime() - this.#startedAt
  }
}
