/** What the first process tells a worker: to finish what it has begun, and end. */
export const stopWord = 'stop'

/** How long a worker may take to finish: longer than it waits for its connections. One that hangs is ended. */
export const stopMs = 40_000

/** What a worker tells the first process when it serves. */
export type Ready = { ready: true; url: string }

export const isReady = (word: unknown): word is Ready =>
  typeof word === 'object' && word !== null && 'ready' in word && word.ready === true
