import { beforeAll, describe, expect, it } from 'vitest'
import { behave } from './behaviours.ts'
import { gzipSize } from './bundle.ts'
import { type Consumer, makeConsumer } from './consumer.ts'
import { installed } from './install.ts'
import { loadPeer, narrow, narrowClass, narrowFunctions, openapiFetch, rawFetch } from './peers.ts'
import { sdkSource } from './sizes.ts'

// What is a count or a size, and so the same on every machine, is held to its goal here; the rest is measured by
// `npm run bench:sdk`.

let consumer: Consumer

beforeAll(async () => {
  consumer = await makeConsumer()
  return consumer.remove
})

const behaviourOf = async (peer: typeof rawFetch) => behave(peer, await loadPeer(consumer.program(peer)))

describe('the published SDK', () => {
  it.concurrent.each(narrow)('does all nine things right with default settings: $name', async (peer) => {
    const verdicts = await behaviourOf(peer)
    expect(verdicts.filter(({ instead }) => instead !== undefined)).toEqual([])
    expect(verdicts).toHaveLength(9)
  })

  it('is one package of at most 0.3 MiB', async () => {
    const { bytes, packages } = await installed(narrowClass.packages, consumer.folder)
    expect(packages).toEqual(['@narrowapi/sdk'])
    expect(bytes).toBeLessThanOrEqual(0.3 * 2 ** 20)
  })

  it('can be left out in parts as well as its sources can', async () => {
    const imports = narrowFunctions.imports.join('\n')
    const published = await gzipSize(imports, consumer.folder)
    const source = imports.replace('@narrowapi/sdk/functions', sdkSource('functions/index.ts'))
    expect(published / (await gzipSize(source, consumer.folder))).toBeLessThan(1.02)
  })
})

describe('the measures', () => {
  it('tell a client that never asks again from one that does', async () => {
    const verdicts = await behaviourOf(rawFetch)
    const wrong = verdicts.flatMap(({ instead }, index) => (instead === undefined ? [] : [index + 1]))
    expect(wrong).toEqual(expect.arrayContaining([1, 2, 4, 5, 6, 7, 9]))
    expect(wrong).not.toContain(3)
  })

  it('find what a package depends on', async () => {
    const { packages } = await installed(openapiFetch.packages, consumer.folder)
    expect(packages).toEqual(['openapi-fetch', 'openapi-typescript-helpers'])
  })
})
