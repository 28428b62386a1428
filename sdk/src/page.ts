import { NarrowUsageError } from './errors.ts'
import type { Page } from './types.ts'

/** Adds `nextPage` to the list a server sent, out of sight of `JSON.stringify` and of comparisons. */
export const toPage = <T>(list: object, load: (cursor: string) => Promise<Page<T>>): Page<T> => {
  const nextPage = async () => {
    const { has_more, next_cursor } = list as Page<T>
    return has_more && next_cursor !== null ? load(next_cursor) : null
  }
  // True from here on: the contract promises the other members, and this adds the one it cannot send.
  return Object.defineProperty(list, 'nextPage', { value: nextPage }) as Page<T>
}

/** Every page, starting with the one `first` brings. An empty page is a page like any other. */
export const iteratePages = <T>(first: () => Promise<Page<T>>): AsyncIterableIterator<Page<T>> => {
  let load: () => Promise<Page<T> | null> = first
  return oneAtATime<Page<T>>(async () => {
    const page = await load()
    // Only now: when a page fails, the next call asks for that page again.
    load = page ? () => page.nextPage() : async () => null
    return page ? { done: false, value: page } : END
  })
}

/** Every item of every page. */
export const iterateItems = <T>(first: () => Promise<Page<T>>): AsyncIterableIterator<T> => {
  const pages = iteratePages(first)
  let items: readonly T[] = []
  let position = 0
  return oneAtATime<T>(async () => {
    while (position >= items.length) {
      const { done, value } = await pages.next()
      if (done) return END
      items = value.data
      position = 0
    }
    // In range, by the condition of the loop above.
    return { done: false, value: items[position++] as T }
  })
}

export const takeItems = async <T>(items: AsyncIterableIterator<T>, max: number): Promise<T[]> => {
  // Without this, a forgotten `max` would look like an empty list.
  if (!(max >= 0)) throw new NarrowUsageError('toArray needs { max }, the most items you want', 'toArray')
  const taken: T[] = []
  while (taken.length < max) {
    const { done, value } = await items.next()
    if (done) break
    taken.push(value)
  }
  return taken
}

/** Calls of `next` wait for one another, so parallel ones never fetch a page twice nor lose an item. */
const oneAtATime = <T>(step: () => Promise<IteratorResult<T, undefined>>): AsyncIterableIterator<T> => {
  let last: Promise<unknown> = Promise.resolve()
  let isOver = false
  return {
    next() {
      const result = last.then(() => (isOver ? END : step()))
      last = result.catch(() => undefined)
      return result
    },
    async return() {
      isOver = true
      return END
    },
    [Symbol.asyncIterator]() {
      return this
    },
  }
}

const END: IteratorReturnResult<undefined> = { done: true, value: undefined }
