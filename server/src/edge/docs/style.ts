/** The stylesheet of the documentation. System fonts and no images, so nothing is fetched from elsewhere. */
export const style = `
:root {
  color-scheme: light dark;
  --text: light-dark(#1b2430, #dfe5ee); --muted: light-dark(#5c6878, #93a0b3);
  --page: light-dark(#ffffff, #10151c); --panel: light-dark(#f5f7fa, #171e28);
  --line: light-dark(#e1e6ed, #2a3442); --accent: light-dark(#0b5fd7, #6cabff);
  --code: light-dark(#eef2f7, #1e2733);
  --get: light-dark(#0a7a47, #4bcf8f); --post: light-dark(#0b5fd7, #6cabff);
  --patch: light-dark(#9a5b00, #f0b45b); --delete: light-dark(#b3261e, #ff8a80);
}
* { box-sizing: border-box; }
html { scroll-padding-top: 4.5rem; }
body { margin: 0; font: 15px/1.6 system-ui, sans-serif; color: var(--text); background: var(--page); }
a { color: var(--accent); text-decoration: none; }
a:hover { text-decoration: underline; }
a:focus-visible, summary:focus-visible { outline: 2px solid var(--accent); outline-offset: 2px; border-radius: 3px; }
code, pre { font: 0.875em/1.55 ui-monospace, SFMono-Regular, Menlo, Consolas, monospace; }
:not(pre) > code { background: var(--code); border-radius: 4px; padding: 0.1em 0.35em; overflow-wrap: anywhere; }
h1 { font-size: 2rem; line-height: 1.2; margin: 0 0 0.5rem; }
h1 small { font-size: 0.9rem; font-weight: 400; color: var(--muted); }
h2 { font-size: 1.5rem; margin: 0 0 0.5rem; }
h3 { font-size: 1.15rem; margin: 0 0 0.25rem; }
h4 { font-size: 0.95rem; margin: 1.25rem 0 0.25rem; }
h3 > a { color: inherit; }
p { margin: 0.4rem 0; }
.skip { position: absolute; left: -999px; }
.skip:focus { left: 1rem; top: 0.5rem; z-index: 3; background: var(--page); padding: 0.5rem; }
header { position: sticky; top: 0; z-index: 2; display: flex; flex-wrap: wrap; align-items: center; gap: 0.25rem 2rem;
  padding: 0.75rem 1.5rem; background: var(--page); border-bottom: 1px solid var(--line); }
header nav { display: flex; flex-wrap: wrap; gap: 0.25rem 1.25rem; }
.brand { font-weight: 700; font-size: 1.1rem; color: var(--text); }
.columns { display: grid; grid-template-columns: 18rem minmax(0, 1fr); max-width: 100rem; margin: 0 auto; }
.side { position: sticky; top: 3.2rem; align-self: start; height: calc(100vh - 3.2rem); overflow-y: auto;
  padding: 1.25rem 1rem 3rem 1.5rem; border-right: 1px solid var(--line); font-size: 0.9rem; }
.side ul { list-style: none; margin: 0 0 0.5rem; padding: 0; }
.side li a { display: flex; justify-content: space-between; gap: 0.5rem; padding: 0.2rem 0 0.2rem 1.1rem; color: var(--text); }
.side summary { cursor: pointer; padding: 0.3rem 0; font-weight: 600; }
.side summary a, .side > a { color: var(--text); font-weight: 600; }
main { padding: 2rem 2.5rem 6rem; min-width: 0; }
main > section { padding-bottom: 2rem; margin-bottom: 2rem; border-bottom: 1px solid var(--line); }
.intro { max-width: 46rem; }
.intro h3 { margin-top: 1.25rem; }
.lead { font-size: 1.15rem; color: var(--muted); }
article { padding: 1.75rem 0; border-top: 1px solid var(--line); }
article:target > h3, dt:target { background: light-dark(#fff4cc, #3a3416); border-radius: 4px; }
.halves { display: grid; grid-template-columns: minmax(0, 1fr) minmax(0, 1fr); gap: 2.5rem; }
.method { font: 700 0.68rem/1.6 ui-monospace, monospace; align-self: center; letter-spacing: 0.03em; }
.GET { color: var(--get); } .POST { color: var(--post); } .PATCH, .PUT { color: var(--patch); } .DELETE { color: var(--delete); }
.endpoint .method { font-size: 0.8rem; }
.auth, .codes { color: var(--muted); font-size: 0.9rem; }
.codes a { white-space: nowrap; }
main details { margin: 0.6rem 0; border: 1px solid var(--line); border-radius: 6px; padding: 0 0.8rem; }
main summary { cursor: pointer; padding: 0.4rem 0; font-weight: 600; font-size: 0.9rem; }
.count { color: var(--muted); font-weight: 400; }
.fields { margin: 0.25rem 0 0.5rem; }
.fields dt { padding-top: 0.5rem; border-top: 1px solid var(--line); }
.fields dt:first-child { border-top: 0; }
.fields dd { margin: 0 0 0.5rem; color: var(--muted); font-size: 0.92rem; }
.fields dd p { margin: 0.15rem 0; }
.type { color: var(--muted); font-size: 0.85rem; }
.required { color: var(--delete); font-size: 0.78rem; }
.retry { color: var(--get); border: 1px solid; border-radius: 4px; padding: 0 0.35em; font-size: 0.75rem; }
.facts { margin: 0.15rem 0; padding: 0; list-style: none; font-size: 0.88rem; }
.facts code { margin-right: 0.15rem; }
.schema { max-width: 52rem; }
.examples { position: sticky; top: 4.5rem; align-self: start; min-width: 0; }
figure { margin: 0 0 1rem; border: 1px solid var(--line); border-radius: 8px; background: var(--panel); overflow: hidden; }
figcaption { padding: 0.4rem 0.9rem; border-bottom: 1px solid var(--line); color: var(--muted); font-size: 0.8rem; }
pre { margin: 0; padding: 0.8rem 0.9rem; max-height: 24rem; overflow: auto; tab-size: 2; }
@media (max-width: 75rem) { .halves { grid-template-columns: minmax(0, 1fr); gap: 0.5rem; } .examples { position: static; } }
@media (max-width: 52rem) {
  .columns { grid-template-columns: minmax(0, 1fr); }
  .side { position: static; height: auto; max-height: 40vh; border-right: 0; border-bottom: 1px solid var(--line); }
  main { padding: 1.5rem 1rem 4rem; }
}
@media print { header, .side { display: none; } .columns { display: block; } pre { max-height: none; } }
`
