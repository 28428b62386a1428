import { createHash, randomBytes } from 'node:crypto'
import { chmod, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { format, inspect } from 'node:util'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { Keyring, loadOrCreateMasterKey, parseMasterKeys } from './keys.ts'
import { open } from './open.ts'
import { seal } from './seal.ts'

const context = { workspace_id: 'ws_1', kind: 'secret', id: 'sec_1', version: 1 }
const key = randomBytes(32)
const other = randomBytes(32)

test.each([
  ['base64', key.toString('base64')],
  ['base64 without padding', key.toString('base64').slice(0, -1)],
  ['base64url', key.toString('base64url')],
  ['hex', key.toString('hex')],
  ['upper-case hex', key.toString('hex').toUpperCase()],
  ['space around it', ` ${key.toString('base64')}\n`],
])('reads a master key written as %s', (_name, text) => {
  expect(parseMasterKeys(text).currentId).toBe(new Keyring([key]).currentId)
})

test('seals under the first of several keys and opens with all of them', () => {
  const before = parseMasterKeys(other.toString('base64'))
  const old = seal(before, context, 'old value')
  const rotated = parseMasterKeys(`${key.toString('base64')}, ${other.toString('hex')}`)
  expect(rotated.ids).toEqual([new Keyring([key]).currentId, before.currentId])
  expect(open(rotated, context, old)).toBe('old value')
  expect(seal(rotated, context, 'new value').key_id).toBe(rotated.currentId)
  expect(rotated.currentId).not.toBe(before.currentId)
})

const good = key.toString('base64')
test.each([
  ['nothing', ''],
  ['31 bytes', key.subarray(1).toString('base64')],
  ['33 bytes', Buffer.concat([key, Buffer.of(1)]).toString('base64')],
  ['31 bytes in hex', key.subarray(1).toString('hex')],
  ['a passphrase', 'correct horse battery staple correct horse'],
  ['a sign that is not base64', `${good.slice(0, 20)}!${good.slice(21)}`],
  ['base64 mixed with base64url', `${'+'.repeat(20)}${'-'.repeat(23)}`],
  ['a placeholder of zeros', '0'.repeat(64)],
  ['a placeholder of equal bytes', Buffer.alloc(32, 7).toString('base64')],
  ['an empty place in the list', `${good},`],
  ['a bad second key', `${good},${good.slice(4)}`],
  ['the same key twice', `${good},${key.toString('hex')}`],
])('refuses %s, naming the variable and not the value', (_name, text) => {
  const error = (() => {
    try {
      parseMasterKeys(text)
    } catch (thrown) {
      return thrown
    }
    return null
  })()
  expect(error).toBeInstanceOf(Error)
  const printed = inspect(error)
  expect(printed).toContain('NARROWAPI_MASTER_KEY')
  for (const part of text.split(',')) if (part !== '') expect(printed).not.toContain(part.slice(4, 16))
})

test('has a public id of eight hex digits that is not a hash of the key', () => {
  const { currentId } = new Keyring([key])
  expect(currentId).toMatch(/^[0-9a-f]{8}$/)
  expect(currentId).not.toBe(createHash('sha256').update(key).digest('hex').slice(0, 8))
})

test('prints [secret] however it is printed', () => {
  const keyring = new Keyring([key, other])
  const printed = [
    inspect(keyring),
    inspect({ deps: { keyring } }, { depth: 10, showHidden: true }),
    JSON.stringify({ keyring }),
    `${keyring}`,
    format('%s %o %O %j', keyring, keyring, keyring, keyring),
  ].join('\n')
  expect(printed.match(/\[secret\]/g)?.length).toBeGreaterThanOrEqual(5)
  for (const form of ['hex', 'base64', 'base64url'] as const) {
    for (const bytes of [key, other]) expect(printed).not.toContain(bytes.toString(form).slice(0, 12))
  }
  expect(JSON.stringify(Object.values(keyring))).toBe(JSON.stringify([keyring.currentId]))
})

let folder: string
let file: string
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'keys-'))
  file = join(folder, 'data', 'master.key')
})
afterEach(() => rm(folder, { recursive: true }))

test('creates the key file once, for its owner only, and finds it again', async () => {
  const first = await loadOrCreateMasterKey(file)
  expect((await stat(file)).mode & 0o777).toBe(0o600)
  const text = await readFile(file, 'utf8')
  expect(Buffer.from(text, 'base64')).toHaveLength(32)
  expect((await loadOrCreateMasterKey(file)).currentId).toBe(first.currentId)
  expect(await readFile(file, 'utf8')).toBe(text)
  expect(await readdir(join(folder, 'data'))).toEqual(['master.key'])
})

test('gives servers that start together the same key', async () => {
  const rings = await Promise.all(Array.from({ length: 20 }, () => loadOrCreateMasterKey(file)))
  expect(new Set(rings.map((ring) => ring.currentId)).size).toBe(1)
  expect(rings[0]?.currentId).toBe((await loadOrCreateMasterKey(file)).currentId)
  expect(await readdir(join(folder, 'data'))).toEqual(['master.key'])
})

test('reads a file that lists the new key before the old one', async () => {
  const old = await loadOrCreateMasterKey(file)
  await writeFile(file, `${good},${await readFile(file, 'utf8')}`)
  expect((await loadOrCreateMasterKey(file)).ids).toEqual([new Keyring([key]).currentId, old.currentId])
})

test.each([0o640, 0o604, 0o620, 0o666])('refuses a key file with mode %o', async (mode) => {
  await loadOrCreateMasterKey(file)
  await chmod(file, mode)
  await expect(loadOrCreateMasterKey(file)).rejects.toThrow(`chmod 600 ${file}`)
})

test.each([
  ['empty', ''],
  ['cut', good.slice(0, 20)],
  ['garbage', '\u0000\u0001\u0002 not a key'],
  ['binary', key],
  ['far too long', 'A'.repeat(5_000)],
])('refuses a key file that is %s and leaves it as it is', async (_name, content) => {
  await loadOrCreateMasterKey(file)
  await writeFile(file, content)
  await expect(loadOrCreateMasterKey(file)).rejects.toThrow(file)
  expect(await readFile(file)).toEqual(Buffer.from(content))
})

test('refuses a folder in place of the key file', async () => {
  await expect(loadOrCreateMasterKey(folder)).rejects.toThrow(`${folder} is not a master key file`)
})
