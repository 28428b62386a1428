import { describe, expect, it } from 'vitest'
import { iterateItems, iteratePages, takeItems, toPage } from './page.ts'
import type { Page } from './types.ts'

/** Serves `pages` by cursor and remembers which were asked for. */
const source = (pages: number[][]) => {
  const asked: number[] = []
  const load = async (index: number): Promise<Page<number>> => {
    asked.push(index)
    const has_more = index < pages.length - 1
    const list = {
      object: 'list',
      data: pages[index],
      has_more,
      next_cursor: has_more ? `${index + 1}` : null,
    }
    return toPage<number>(list, (cursor) => load(Number(cursor)))
  }
  return { asked, load, first: () => load(0) }
}

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
    const { load, asked } = source([[1], [2]])
    let failures = 2
    const flaky = async (): Promise<Page<number>> => {
      const page = await load(0)
      const nextPage = async () => {
        if (failures-- > 0) throw new Error('cut')
        return page.nextPage()
      }
      return { ...page, nextPage }
    }
    const items = iterateItems(flaky)
    expect(await items.next()).toEqual({ done: false, value: 1 })
    await expect(items.next()).rejects.toThrow('cut')
    await expect(items.next()).rejects.toThrow('cut')
    expect(await items.next()).toEqual({ done: false, value: 2 })
    expect(await items.next()).toEqual({ done: true, value: undefined })
    expect(asked).toEqual([0, 1])
  })

  it('are not fetched after the loop was left', async () => {
    const { first, asked } = source([[1], [2]])
    const items = iterateItems(first)
    for await (const item of items) if (item === 1) break
    expect(await items.next()).toEqual({ done: true, value: undefined })
    expect(asked).toEqual([0])
  })

  it('are not fetched beyond the items asked for', async () => {
    const { first, asked } = source([[1, 2], [3, 4], [5]])
    expect(await takeItems(iterateItems(first), 4)).toEqual([1, 2, 3, 4])
    expect(asked).toEqual([0, 1])
    expect(await takeItems(iterateItems(first), 0)).toEqual([])
    expect(await takeItems(iterateItems(first), Number.POSITIVE_INFINITY)).toEqual([1, 2, 3, 4, 5])
    await expect(takeItems(iterateItems(first), Number.NaN)).rejects.toThrow('max')
  })

  it('can be gone over as pages, and look like what the server sent', async () => {
    const pages = await collect(iteratePages(source([[1], [2]]).first))
    expect(JSON.parse(JSON.stringify(pages))).toEqual([
      { object: 'list', data: [1], has_more: true, next_cursor: '1' },
      { object: 'list', data: [2], has_more: false, next_cursor: null },
    ])
    expect(await pages[0]?.nextPage()).toEqual(pages[1])
    expect(await pages[1]?.nextPage()).toBeNull()
  })
})
