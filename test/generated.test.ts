import { expect, test } from 'vitest'
import { generate, outdated } from '../openapi/src/generate.ts'

test('what is generated is up to date', async () => {
  expect(await outdated(await generate())).toEqual([])
})
