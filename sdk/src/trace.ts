import type { Client } from './core.ts'

/**
 * A client that publishes every call as `tracing:narrowapi:call` on `node:diagnostics_channel`, where that exists
 * and somebody listens. The module is asked for at run time, so that no bundler and no browser looks for it.
 */
export const publishCalls = (client: Client): Client => {
  const channel = globalThis.process
    ?.getBuiltinModule?.('node:diagnostics_channel')
    .tracingChannel?.('narrowapi:call')
  if (!channel) return client
  return {
    send: (operation) =>
      // Missing in the oldest versions, where it means that nobody can tell.
      channel.hasSubscribers === false
        ? client.send(operation)
        : channel.tracePromise(() => client.send(operation), { operation: operation.name }),
  }
}
