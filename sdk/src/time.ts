/** The longest wait that timers take; beyond it they fire at once instead of late. */
const LONGEST = 2 ** 31 - 1

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
      release()
      reject(error)
      controller.abort(error)
    }
    const release = startTimer(ms, () => stop(onTimeout()), caller, (reason) => stop(onAbort(reason)))
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
    const release = startTimer(ms, () => (release(), resolve()), caller, (reason) => {
      release()
      reject(onAbort(reason))
    })
  })

const startTimer = (
  ms: number,
  onTime: () => void,
  caller: AbortSignal | undefined,
  onAbort: (reason: unknown) => void,
): (() => void) => {
  const listener = () => onAbort(caller?.reason)
  const timer = ms > LONGEST ? undefined : setTimeout(onTime, ms)
  caller?.addEventListener('abort', listener)
  return () => {
    clearTimeout(timer)
    caller?.removeEventListener('abort', listener)
  }
}
