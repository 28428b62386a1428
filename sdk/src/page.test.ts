import { describe, expect, it } from 'vitest'
import { iterate, take } from './page.ts'
import type { Page } from './types.ts'

/** Serves `pages` by cursor and remembers which were asked for. */
const source = (pages: number[][]) => {
  const asked: number[] = []
  const load = async (index: number): Promise<Page<number>> => {
    asked.push(index)
    const has_more = index < pages.length - 1
    const next_cursor = has_more ? `${index + 1}` : null
    const nextPage = async () => (has_more ? load(index + 1) : null)
    return { object: 'list', data: pages[index] ?? [], has_more, next_cursor, nextPage }
  }
  return { asked, first: () => load(0) }
}

type First = () => Promise<Page<number>>
const iterateItems = (first: First, prefetch = false) => iterate(first(), first, ({ data }) => data, prefetch)
const iteratePages = (first: First) => iterate(first(), first, (page) => [page], false)

const collect = async <T>(items: AsyncIterable<T>): Promise<T[]> => {
  const all: T[] = []
  for await (const item of items) all.push(item)
  return all
}

describe('pages', () => {
  it('go on after an empty page in the middle', async () => {
    const { first, asked } = source([[1], [], [], [2, 3]])
    expect(await collect(iterateItems(first))).toEqual([1, 2, 3])
    expect(asked).toEqual([0, 1, 2, 3])
  })

  it('end with an only page that is empty', async () => {
    expect(await collect(iterateItems(source([[]]).first))).toEqual([])
  })

  it('are never fetched twice by parallel calls of next', async () => {
    const { first, asked } = source([[1, 2], [3], [4]])
    const items = iterateItems(first)
    const results = await Promise.all(Array.from({ length: 7 }, () => items.next()))
    expect(results.map(({ value }) => value)).toEqual([1, 2, 3, 4, undefined, undefined, undefined])
    expect(asked).toEqual([0, 1, 2])
  })

  it('can be asked for again after one has failed, without losing or repeating an item', async () => {
    const { first, asked } = source([[1], [2]])
    let failures = 2
    const flaky = async (): Promise<Page<number>> => {
      const page = await first()
      const nextPage = async () => {
        if (failures-- > 0) throw new Error('cut')
        return page.nextPage()
      }
      return { ...page, nextPage }
    }
    for (const prefetch of [false, true]) {
      failures = 2
      asked.length = 0
      const items = iterateItems(flaky, prefetch)
      expect(await items.next()).toEqual({ done: false, value: 1 })
      await expect(items.next()).rejects.toThrow('cut')
      await expect(items.next()).rejects.toThrow('cut')
      expect(await items.next()).toEqual({ done: false, value: 2 })
      expect(await items.next()).toEqual({ done: true, value: undefined })
      expect(asked).toEqual([0, 1])
    }
  })

  it('are asked for one ahead when that is wanted, and no further', async () => {
    const { first, asked } = source([[1], [2], [3], [4]])
    const items = iterateItems(first, true)
    await items.next()
    expect(asked).toEqual([0, 1])
    await items.next()
    expect(asked).toEqual([0, 1, 2])
    expect(await take(items, 9)).toEqual([3, 4])
    expect(asked).toEqual([0, 1, 2, 3])
  })

  it('are not fetched after the loop was left, which may be taken up again', async () => {
    const { first, asked } = source([[1], [2]])
    const items = iterateItems(first)
    for await (const item of items) if (item === 1) break
    expect(asked).toEqual([0])
    expect(await collect(items)).toEqual([2])
  })

  it('are not fetched beyond the items asked for', async () => {
    const { first, asked } = source([[1, 2], [3, 4], [5]])
    expect(await take(iterateItems(first), 4)).toEqual([1, 2, 3, 4])
    expect(asked).toEqual([0, 1])
    expect(await take(iterateItems(first), 0)).toEqual([])
    expect(await take(iterateItems(first), Number.POSITIVE_INFINITY)).toEqual([1, 2, 3, 4, 5])
    await expect(take(iterateItems(first), Number.NaN)).rejects.toThrow('max')
  })

  it('can be gone over as pages', async () => {
    const pages = await collect(iteratePages(source([[1], [], [2]]).first))
    expect(pages.map(({ data }) => data)).toEqual([[1], [], [2]])
    expect(await pages[2]?.nextPage()).toBeNull()
  })
})
