import { registerHooks } from 'node:module'

/** Preloaded by a test: a machine where nobody has installed the optional packages. */
registerHooks({
  resolve(specifier, context, next) {
    if (!/^@opentelemetry\/(sdk|exporter|resources)/.test(specifier)) return next(specifier, context)
    throw Object.assign(new Error(`Cannot find package '${specifier}'`), { code: 'ERR_MODULE_NOT_FOUND' })
  },
})
