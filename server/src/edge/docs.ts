import { createHash } from 'node:crypto'
import type { Express } from 'express'
import { type Document, readDocument } from './docs/document.ts'
import { errorsPage } from './docs/errors.ts'
import { llmsText } from './docs/llms.ts'
import { referencePage } from './docs/reference.ts'
import { style } from './docs/style.ts'

type Options = {
  /** Where callers reach this server, as the documents tell them. */
  publicUrl: string
}

/**
 * The documentation: the OpenAPI document, its reference, every error code, and a summary for agents. Answers the
 * paths it took.
 */
export const mountDocs = (app: Express, options: Options): string[] => {
  const publicUrl = options.publicUrl.replace(/\/+$/, '')
  const json = once(() => readDocument('json', publicUrl))
  // Generated from the contract and linted before it was committed, so it has this shape.
  const document = once(() => JSON.parse(json()) as Document)
  const llms = once(() => llmsText(document(), publicUrl))

  const texts: [path: string, type: string, text: () => string][] = [
    ['/.well-known/openapi.json', 'application/json; charset=utf-8', json],
    ['/.well-known/openapi.yaml', 'application/yaml; charset=utf-8', () => readDocument('yaml', publicUrl)],
    ['/llms.txt', 'text/plain; charset=utf-8', llms],
    ['/.well-known/llms.txt', 'text/plain; charset=utf-8', llms],
    ['/docs', 'text/html; charset=utf-8', () => referencePage(document(), publicUrl)],
    ['/docs/errors', 'text/html; charset=utf-8', errorsPage],
    ['/docs/style.css', 'text/css; charset=utf-8', () => style],
  ]
  for (const [path, type, text] of texts) serve(app, path, type, text)
  return texts.map(([path]) => path)
}

/**
 * A text that stays the same as long as the process runs, made when it is first asked for. Scripts are not used,
 * so none is allowed.
 */
const serve = (app: Express, path: string, type: string, text: () => string): void => {
  const made = once(() => {
    const body = Buffer.from(text())
    const headers = {
      'Content-Type': type,
      'Cache-Control': 'public, max-age=300',
      'Content-Security-Policy':
        "default-src 'none'; style-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
      'X-Content-Type-Options': 'nosniff',
      'Referrer-Policy': 'no-referrer',
      ETag: `"${createHash('sha256').update(body).digest('base64url').slice(0, 22)}"`,
      // Public texts; a page of another origin may read the document to render or use it.
      'Access-Control-Allow-Origin': '*',
    }
    return { body, headers }
  })
  app.get(path, (_req, res) => {
    const { body, headers } = made()
    res.set(headers).send(body)
  })
}

const once = <T>(make: () => T): (() => T) => {
  let made: { value: T } | null = null
  return () => {
    made ??= { value: make() }
    return made.value
  }
}
