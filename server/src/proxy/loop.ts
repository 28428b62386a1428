import { ApiError } from '../errors.ts'

/**
 * Guards against an action whose target leads back to this installation, through a load balancer, another name or
 * another installation, which no check of addresses can see. Every upstream call names its installation in
 * CDN-Loop (RFC 8586), which exists for this; Via would do too, but some servers answer it with less (RFC 8586
 * section 1 tells of them). A call that names us is refused: the first lap of a loop is the last. What agents send
 * reaches no upstream, so of their header only the names of installations go on.
 */
export type LoopGuard = {
  /** Throws when a request with this CDN-Loop comes from a call of ours. */
  check(received: string | undefined): void
  /** The CDN-Loop of the upstream call that such a request leads to. */
  passOn(received: string | undefined): string
}

/** `id` is the same on all servers of an installation, and tells nothing of it. */
export const createLoopGuard = (id: string): LoopGuard => {
  const own = `narrowapi-${id}`
  return {
    check(received) {
      const passed = installationsIn(received)
      if (passed.includes(own)) throw looped('This call came out of an action of this very installation')
      if (passed.length < maxInstallations) return
      throw looped(`This call has passed ${passed.length} installations already`)
    },
    passOn(received) {
      return received === undefined ? own : [...installationsIn(received), own].join(', ')
    },
  }
}

const installationsIn = (received: string | undefined): string[] => received?.match(installation) ?? []
const installation = /\bnarrowapi-[0-9a-f]{16}\b/g
export const maxInstallations = 8

const looped = (fact: string) =>
  new ApiError('upstream_blocked', `${fact}; point that action at the upstream itself`)
