import { type Html, html } from './html.ts'

/** The frame of every page. `root` leads from the page to the root of the server. */
export const layout = (page: { title: string; root: string; nav: Html; main: Html }): string =>
  html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>${page.title}</title>
<link rel="stylesheet" href="${page.root}docs/style.css">
<link rel="alternate" type="application/json" title="OpenAPI 3.1" href="${page.root}.well-known/openapi.json">
</head>
<body>
<a class="skip" href="#main">Skip to the content</a>
<header>
<a class="brand" href="${page.root}docs">NarrowAPI</a>
<nav aria-label="Documents">
<a href="${page.root}docs">Reference</a>
<a href="${page.root}docs/errors">Errors</a>
<a href="${page.root}.well-known/openapi.json">OpenAPI JSON</a>
<a href="${page.root}.well-known/openapi.yaml">YAML</a>
<a href="${page.root}llms.txt">llms.txt</a>
</nav>
</header>
<div class="columns">
<nav class="side" aria-label="Contents">${page.nav}</nav>
<main id="main">${page.main}</main>
</div>
</body>
</html>
`.html
