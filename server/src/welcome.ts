/** What a person sees when the server is up; the key only at the very first start, and never again. */
export const welcome = (url: string, ownerKey: string | null): string =>
  ownerKey === null
    ? `\n  NarrowAPI answers at ${url} (documentation: ${url}/docs)\n\n`
    : `
  NarrowAPI answers at ${url} (documentation: ${url}/docs)

  Your owner key, shown this once; keep it safe:

    ${ownerKey}

  Try it:

    curl ${url}/api/v1/actions -H "Authorization: Bearer ${ownerKey}"

`
