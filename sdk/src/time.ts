/**
 * Runs `work` until it settles, `ms` are over, or the caller aborts, whichever is first, and then leaves
 * neither timer nor listener behind. The race, rather than trust in `work`, is what makes the end prompt:
 * a custom `fetch` or a middleware may well ignore the signal it is given.
 */
export const within = <T>(
  ms: number,
  caller: AbortSignal | undefined,
  work: (signal: AbortSignal) => Promise<T>,
  onTimeout: () => Error,
  onAbort: (reason: unknown) => Error,
): Promise<T> =>
  new Promise((resolve, reject) => {
    if (caller?.aborted) return reject(onAbort(caller.reason))
    const controller = new AbortController()
    const stop = (error: Error) => {
      reject(error)
      controller.abort(error)
    }
    const release = watch(
      ms,
      caller,
      () => stop(onTimeout()),
      (reason) => stop(onAbort(reason)),
    )
    // Released first, so that whoever awaits this finds the signal as clean as before.
    work(controller.signal).finally(release).then(resolve, reject)
  })

/** Waits, unless the caller aborts first. */
export const sleep = (
  ms: number,
  caller: AbortSignal | undefined,
  onAbort: (reason: unknown) => Error,
): Promise<void> =>
  new Promise((resolve, reject) => {
    if (caller?.aborted) return reject(onAbort(caller.reason))
    watch(ms, caller, resolve, (reason) => reject(onAbort(reason)))
  })

/** Calls one of the two at most once; calling what it returns is the way to have neither called. */
const watch = (
  ms: number,
  caller: AbortSignal | undefined,
  onTime: () => void,
  onAbort: (reason: unknown) => void,
): (() => void) => {
  const release = () => {
    clearTimeout(timer)
    caller?.removeEventListener('abort', aborted)
  }
  const aborted = () => {
    release()
    onAbort(caller?.reason)
  }
  const timer =
    ms > LONGEST
      ? undefined
      : setTimeout(() => {
          release()
          onTime()
        }, ms)
  caller?.addEventListener('abort', aborted)
  return release
}

/** What a timer can wait, in milliseconds. Asked for more, it would fire at once; no timer is closer to it. */
const LONGEST = 2 ** 31 - 1
