import server from '../package.json' with { type: 'json' }

/** The version of this package, the only one that is told. */
export const { version } = server
