/** What a person sees at the very first start, as soon as there is a key, and never again. */
export const showOwnerKey = (ownerKey: string): string => `
  Your owner key, shown this once; keep it safe:

    ${ownerKey}

`

/** What a person sees when the server is up. */
export const welcome = (url: string, ownerKey: string | null): string =>
  ownerKey === null
    ? `\n  NarrowAPI answers at ${url} (documentation: ${url}/docs)\n\n`
    : `
  NarrowAPI answers at ${url} (documentation: ${url}/docs)

  Try it:

    curl ${url}/api/v1/actions -H "Authorization: Bearer ${ownerKey}"

`
