/** What `within` rejects with when time is over or the caller aborts. */
export const STOPPED = Symbol()

/**
 * Settles as `work` does, unless `ms` are over or the caller aborts first, and leaves neither timer nor listener
 * behind. The race, rather than trust in `work`, is what makes the end prompt: a custom `fetch` or a middleware
 * may well ignore the signal it is given.
 */
export const within = <T>(
  ms: number,
  caller: AbortSignal | undefined,
  work: (signal: AbortSignal) => Promise<T>,
): Promise<T> =>
  new Promise((resolve, reject) => {
    const controller = new AbortController()
    const over =
      <Value>(settle: (value: Value) => void) =>
      (value: Value) => {
        clearTimeout(timer)
        caller?.removeEventListener('abort', stop)
        settle(value)
      }
    const fail = over(reject)
    const stop = () => {
      fail(STOPPED)
      controller.abort(STOPPED)
    }
    // Asked for more than 2^31 ms, a timer would fire at once.
    const timer = setTimeout(stop, Math.min(ms, 2e9))
    caller?.addEventListener('abort', stop)
    if (caller?.aborted) stop()
    else work(controller.signal).then(over(resolve), fail)
  })
