/** Time as the rest of the server sees it, so that a test can hold it still. */
export type Clock = {
  now(): Date
  /** Milliseconds that never go back, for durations. */
  monotonic(): number
}

export const systemClock: Clock = { now: () => new Date(), monotonic: () => performance.now() }
