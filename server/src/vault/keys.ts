import { createHash, createSecretKey, hkdfSync, type KeyObject, randomBytes } from 'node:crypto'
import { link, mkdir, open, unlink } from 'node:fs/promises'
import { dirname } from 'node:path'
import { decrypt, encrypt, nonceBytes } from './aes-gcm.ts'

/**
 * The master keys, which do one thing: wrap and unwrap the data keys of sealed values. The first key wraps,
 * every key unwraps, so a rotation puts the new key in front and leaves the old one in the list.
 * The keys cannot be read back, and printing a keyring in any way prints `[secret]`.
 */
export class Keyring {
  /** Where new values are sealed. */
  readonly currentId: string
  readonly #wrappingKeys: ReadonlyMap<string, KeyObject>

  constructor(masterKeys: readonly [Buffer, ...Buffer[]]) {
    this.currentId = keyId(masterKeys[0])
    this.#wrappingKeys = new Map(masterKeys.map((key) => [keyId(key), createSecretKey(derive(key, 'wrap'))]))
    if (this.#wrappingKeys.size < masterKeys.length) throw new Error('The same master key is given twice')
  }

  /** Every id that can be opened. A key may be dropped once no stored row carries its id. */
  get ids(): readonly string[] {
    return [...this.#wrappingKeys.keys()]
  }

  wrap(dataKey: Buffer, associated: Buffer): { key_id: string; wrapped_key: Buffer } {
    const nonce = randomBytes(nonceBytes)
    const wrapped = encrypt(this.#wrappingKey(this.currentId), nonce, associated, dataKey)
    return { key_id: this.currentId, wrapped_key: Buffer.concat([nonce, wrapped]) }
  }

  unwrap(id: string, wrappedKey: Buffer, associated: Buffer): Buffer {
    const nonce = wrappedKey.subarray(0, nonceBytes)
    return decrypt(this.#wrappingKey(id), nonce, associated, wrappedKey.subarray(nonceBytes))
  }

  #wrappingKey(id: string): KeyObject {
    const key = this.#wrappingKeys.get(id)
    if (key === undefined) throw new Error('The master key is not at hand')
    return key
  }

  toString(): string {
    return '[secret]'
  }

  toJSON(): string {
    return '[secret]'
  }

  [Symbol.for('nodejs.util.inspect.custom')](): string {
    return '[secret]'
  }
}

/**
 * Reads NARROWAPI_MASTER_KEY: 32 bytes as base64, base64url or hex, or several such keys separated by commas.
 * The first is current, the others still open what they sealed.
 */
export const parseMasterKeys = (text: string): Keyring => readKeys(text, 'NARROWAPI_MASTER_KEY')

/**
 * Reads the key file of an installation that was given no key, and creates it at the first start. Two servers
 * that start together end up with the same key. The file takes the same text as the variable, so a rotation
 * is done the same way.
 */
export const loadOrCreateMasterKey = async (file: string): Promise<Keyring> => {
  const existing = await readKeyFile(file)
  if (existing !== null) return readKeys(existing, file)
  await createKeyFile(file)
  return readKeys((await readKeyFile(file)) ?? '', file)
}

const readKeys = (text: string, source: string): Keyring => {
  const [current, ...older] = text.split(',').map((part, index) => {
    const key = decodeKey(part.trim())
    if (key !== null) return key
    const which = text.includes(',') ? `Key ${index + 1} of ${source}` : source
    throw new Error(
      `${which} is not a master key: it must be 32 random bytes in base64, base64url or hex, as printed by \`openssl rand -base64 32\`; put commas between several keys, the current one first`,
    )
  })
  if (current === undefined) throw new Error(`${source} holds no master key`)
  try {
    return new Keyring([current, ...older])
  } catch (cause) {
    throw new Error(`${source} cannot be used: name every key once`, { cause })
  }
}

/** `Buffer.from` skips what it does not understand, so the form is checked before it is asked. */
const decodeKey = (text: string): Buffer | null => {
  const key = /^[0-9a-f]{64}$/i.test(text)
    ? Buffer.from(text, 'hex')
    : /^(?:[A-Za-z0-9+/]{43}|[A-Za-z0-9_-]{43})=?$/.test(text)
      ? Buffer.from(text, 'base64')
      : null
  // A placeholder such as 000… has the right length and protects nothing.
  return key?.every((byte) => byte === key[0]) ? null : key
}

/** The id is public (it stands in every sealed row), so it comes from a value that is derived for this alone. */
const keyId = (masterKey: Buffer): string =>
  createHash('sha256').update(derive(masterKey, 'id')).digest('hex').slice(0, 8)

const derive = (masterKey: Buffer, label: 'wrap' | 'id'): Buffer =>
  Buffer.from(hkdfSync('sha256', masterKey, '', `narrowapi master key v1 ${label}`, 32))

const maxKeyFileBytes = 4096

const readKeyFile = async (file: string): Promise<string | null> => {
  const handle = await open(file, 'r').catch((cause: NodeJS.ErrnoException) => {
    if (cause.code === 'ENOENT') return null
    throw new Error(`The master key file ${file} cannot be read by this user`, { cause })
  })
  if (handle === null) return null
  try {
    // The open handle is asked, not the path, so the file that was checked is the file that is read.
    const stats = await handle.stat()
    if (process.platform !== 'win32' && (stats.mode & 0o077) !== 0) {
      throw new Error(`The master key file ${file} is open to other users: run \`chmod 600 ${file}\``)
    }
    if (!stats.isFile() || stats.size > maxKeyFileBytes) throw new Error(`${file} is not a master key file`)
    return await handle.readFile('utf8')
  } finally {
    await handle.close()
  }
}

/**
 * The key is complete on disk before it gets its name, and the name is given by `link`, which refuses to
 * replace: a crash leaves no half key, and the server that comes second cannot overwrite the key of the first.
 */
const createKeyFile = async (file: string): Promise<void> => {
  await mkdir(dirname(file), { recursive: true, mode: 0o700 })
  const draft = `${file}.${randomBytes(8).toString('hex')}`
  await writeDurably(draft, `${randomBytes(32).toString('base64')}\n`)
  try {
    await link(draft, file)
  } catch (cause) {
    // Another server was faster: its key is the key.
    if ((cause as NodeJS.ErrnoException).code !== 'EEXIST') throw cause // what node:fs rejects with
  } finally {
    await unlink(draft)
  }
  await syncFolder(dirname(file))
}

const writeDurably = async (file: string, text: string): Promise<void> => {
  const handle = await open(file, 'wx', 0o600)
  try {
    await handle.writeFile(text)
    await handle.sync()
  } finally {
    await handle.close()
  }
}

/** The name is durable only when its folder is. Windows cannot open a folder and does without. */
const syncFolder = async (folder: string): Promise<void> => {
  if (process.platform === 'win32') return
  const handle = await open(folder, 'r')
  try {
    await handle.sync()
  } finally {
    await handle.close()
  }
}
