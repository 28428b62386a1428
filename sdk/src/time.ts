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
): Promise<T> => {
  const controller = new AbortController()
  const { signal } = controller
  const stop = () => controller.abort(STOPPED)
  // Asked for more, a timer would fire at once.
  const timer = setTimeout(stop, Math.min(ms, 2 ** 31 - 1))
  caller?.addEventListener('abort', stop)
  return new Promise<T>((resolve, reject) => {
    signal.onabort = () => reject(STOPPED)
    if (caller?.aborted) stop()
    else work(signal).then(resolve, reject)
  }).finally(() => {
    clearTimeout(timer)
    caller?.removeEventListener('abort', stop)
  })
}
