import type { Response } from './context.ts'

/** Puts headers, names and values in turn, on an answer that others will add to. */
export const setHead = (res: Response, head: readonly string[]): void => {
  for (let at = 0; at < head.length; at += 2) res.setHeader(head[at] ?? '', head[at + 1] ?? '')
}
