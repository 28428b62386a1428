import { inputs } from './generated/operations.ts'
import { type Incoming, parseQuery } from './incoming.ts'
import type { BodyOf, OperationName, ParamsOf, QueryOf } from './operations.ts'

/** A request as it arrived. Shows what was sent, save the credential. */
export interface RequestOf<Name extends OperationName> {
  /** For example `actions.create`. */
  readonly operation: Name
  /** In capitals. */
  readonly method: string
  /** The whole URL, query included. */
  readonly url: string
  /** The path parameters by name. */
  readonly params: ParamsOf<Name>
  /** The parsed query. */
  readonly query: QueryOf<Name>
  /** As it was sent: without the defaults that the server fills in. */
  readonly body: BodyOf<Name>
  /** By their names in lower case; of the credential only its kind. */
  readonly headers: Readonly<Record<string, string>>
  /** The key of the call; undefined for reads. */
  readonly idempotencyKey: string | undefined
  /** The id of the API key or token that was sent; undefined when it opened nothing. */
  readonly credentialId: string | undefined
  /**
   * 1 for the first attempt of a call. Calls are told apart by their idempotency key, reads by having failed
   * just before with the same URL.
   */
  readonly attempt: number
}

/** A request of any operation: compare `operation` and the rest has its types. */
export type RecordedRequest = { [Name in OperationName]: RequestOf<Name> }[OperationName] | UnknownRequest

/** A request that no operation takes. */
export interface UnknownRequest
  extends Omit<RequestOf<OperationName>, 'operation' | 'params' | 'query' | 'body'> {
  /** No operation has this method and path. */
  readonly operation: undefined
  /** Always empty. */
  readonly params: Readonly<Record<string, string>>
  /** The query as it was sent. */
  readonly query: unknown
  /** The body as it was sent. */
  readonly body: unknown
}

/** Everything that was asked, and which of it was asked again. */
export class Recorder {
  readonly requests: RecordedRequest[] = []
  readonly #calls = new Map<string, { attempts: number; hasFailed: boolean }>()

  /** Tells afterwards whether it failed, so that the next attempt is known for one. */
  record(
    operation: OperationName | undefined,
    params: Readonly<Record<string, string>>,
    url: string,
    incoming: Incoming,
    credentialId: string | undefined,
  ): (hasFailed: boolean) => void {
    const idempotencyKey = incoming.headers.get('idempotency-key') ?? undefined
    const name = idempotencyKey ?? `${incoming.headers.get('authorization')}\n${incoming.search}`
    const call = `${incoming.method} ${incoming.path}\n${name}`
    const known = this.#calls.get(call)
    const isRepeated = known !== undefined && (idempotencyKey !== undefined || known.hasFailed)
    const attempt = isRepeated ? known.attempts + 1 : 1
    this.#calls.set(call, { attempts: attempt, hasFailed: false })
    this.requests.push({
      operation,
      method: incoming.method,
      url,
      params,
      query: queryOf(operation, incoming),
      body: bodyOf(operation, incoming),
      headers: withoutCredential(incoming.headers),
      idempotencyKey,
      credentialId,
      attempt,
      // The operation's own row says what its params, query and body are.
    } as RecordedRequest)
    return (hasFailed) => this.#calls.set(call, { attempts: attempt, hasFailed })
  }

  clear(): void {
    this.requests.length = 0
    this.#calls.clear()
  }
}

const queryOf = (operation: string | undefined, { search }: Incoming): unknown => {
  if (operation !== undefined && !inputs[operation]?.query) return undefined
  try {
    return parseQuery(search, inputs[operation ?? '']?.query ?? {})
  } catch {
    return search
  }
}

const bodyOf = (operation: string | undefined, { text }: Incoming): unknown => {
  if (text === '') return operation !== undefined && inputs[operation]?.body ? {} : undefined
  try {
    return JSON.parse(text)
  } catch {
    return text
  }
}

const withoutCredential = (headers: Headers): Record<string, string> =>
  Object.fromEntries(
    [...headers].map(([name, value]) => [
      name,
      name === 'authorization' ? value.replace(/^(bearer +)?(sk_|sxt_)?.*$/is, '$1$2[secret]') : value,
    ]),
  )
