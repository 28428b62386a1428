import type { KeyScope, StoredReply } from './db/idempotency.ts'
import type { Keyring } from './vault/keys.ts'
import { open } from './vault/open.ts'
import { packSealed, unpackSealed } from './vault/pack.ts'
import { type SealContext, seal } from './vault/seal.ts'

/** Replies kept for their idempotency key. Sealed, because the reply of a create may hold a credential. */
export type Replies = {
  seal(scope: KeyScope, reply: StoredReply): Buffer
  open(scope: KeyScope, sealed: Buffer): StoredReply
}

export const createReplies = (keyring: Keyring): Replies => ({
  seal: (scope, reply) => packSealed(seal(keyring, contextOf(scope), JSON.stringify(reply))),
  // Only `seal` makes what opens.
  open: (scope, sealed) => JSON.parse(open(keyring, contextOf(scope), unpackSealed(sealed))) as StoredReply,
})

const contextOf = ({ workspaceId, credentialId, method, path, key }: KeyScope): SealContext => ({
  workspace_id: workspaceId,
  kind: 'reply',
  id: JSON.stringify([credentialId, method, path, key]),
  version: 1,
})
