import { execFile } from 'node:child_process'
import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { startProgram } from '../support/program.ts'
import { holds } from './search.ts'
import { upstreamSecret } from './stage.ts'

const demo = fileURLToPath(new URL('demo.ts', import.meta.url))
let folder: string

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'narrowapi-demo-test-'))
})

afterAll(() => rm(folder, { recursive: true, force: true }))

test('tells the whole story without the secret, in plain text where there is no terminal, and clears up', async () => {
  const { stdout, stderr } = await promisify(execFile)(process.execPath, [demo], { env: { TMPDIR: folder } })
  expect(stdout).toContain('The whole story')
  expect(stdout).not.toContain('\x1b')
  expect(stdout + stderr).not.toContain(upstreamSecret)
  expect(await readdir(folder)).toEqual([])
})

test('clears up when it is interrupted', async () => {
  const interrupted = await startProgram([demo], { announces: /(2\.)/, environment: { TMPDIR: folder } })
  expect(await readdir(folder)).not.toEqual([])
  await interrupted.stop()
  expect(interrupted.output()).toContain('Interrupted by SIGTERM')
  expect(await readdir(folder)).toEqual([])
})

test('the search of the demo finds a secret in every form it may be stored in', () => {
  const secret = 'p@ss/word+0123456789'
  const inside = (before: string) => Buffer.from(`${before}${secret} and more`)
  for (const before of ['', '.', '..', '...']) {
    expect(holds(inside(before), secret)).toBe(true)
    expect(holds(inside(before).toString('base64'), secret)).toBe(true)
    expect(holds(inside(before).toString('hex'), secret)).toBe(true)
  }
  expect(holds(`https://example.com/?key=${encodeURIComponent(secret)}`, secret)).toBe(true)
  expect(holds(inside('').toString('base64'), 'another-secret-0123456789')).toBe(false)
})
