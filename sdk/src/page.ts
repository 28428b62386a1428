import { usageError } from './error.ts'
import type { Page } from './types.ts'

/**
 * Goes over what `pick` takes of each page, starting with one that is on its way. An empty page is a page like
 * any other. A page that failed is asked for again by the next call.
 */
export const iterate = <T, Item>(
  first: Promise<Page<T>>,
  again: () => Promise<Page<T>>,
  pick: (page: Page<T>) => readonly Item[],
  prefetch: boolean | undefined,
): AsyncIterableIterator<Item> => {
  let underWay: Promise<Page<T> | null> | undefined = first
  let load: () => Promise<Page<T> | null> = again
  let items: Item[] = []
  let last: Promise<unknown> = first

  const step = async (): Promise<IteratorResult<Item, undefined>> => {
    while (!items.length) {
      const wanted = underWay ?? load()
      underWay = undefined
      const page = await wanted
      if (!page) return { done: true, value: undefined }
      items = [...pick(page)]
      load = page.nextPage
      if (prefetch) {
        underWay = load()
        underWay.catch(() => {})
      }
    }
    // There is one, by the condition of the loop above.
    return { done: false, value: items.shift() as Item }
  }

  return {
    // Calls wait for one another, so parallel ones never fetch a page twice nor lose an item.
    next() {
      const result = last.then(step, step)
      last = result
      return result
    },
    [Symbol.asyncIterator]() {
      return this
    },
  }
}

export const take = async <T>(items: AsyncIterable<T>, max = -1): Promise<T[]> => {
  // Without this, a forgotten `max` would look like an empty list.
  if (!(max >= 0)) throw usageError('needs { max }', 'toArray')
  const taken: T[] = []
  if (max > 0) {
    for await (const item of items) if (taken.push(item) >= max) break
  }
  return taken
}
