import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
// TypeScript 7, at the root, has no compiler API yet; the one that openapi-typescript needs does.
import ts from '../../../openapi/node_modules/typescript/lib/typescript.js'

/** What `import … from 'specifier'` offers. */
export type Entry = { specifier: string; items: Item[] }

/** Something that can be imported, or a member of it. */
export type Item = {
  /** With the names of what it is in: `Action.status`. */
  name: string
  kind: 'class' | 'interface' | 'type' | 'function' | 'constant' | 'member'
  /** As declared, without its comment and, where they are items, its members. */
  signature: string
  text: string
  tags: { name: string; text: string }[]
  parameters: string[]
  members: Item[]
}

/** Reads a package as it is published: its package.json and the declarations its entries lead to. */
export const readEntries = async (folder: string): Promise<Entry[]> => {
  const { name, exports } = JSON.parse(await readFile(join(folder, 'package.json'), 'utf8'))
  const entries = Object.entries<{ types?: string }>(exports).flatMap(([path, { types }]) =>
    types ? [{ specifier: join(name, path), file: join(folder, types) }] : [],
  )
  const program = ts.createProgram(
    entries.map(({ file }) => file),
    { module: ts.ModuleKind.NodeNext, target: ts.ScriptTarget.ES2024, types: [] },
  )
  const checker = program.getTypeChecker()
  const seen = new Set<ts.Symbol>()
  return entries.map(({ specifier, file }) => {
    const source = program.getSourceFile(file)
    const module = source && checker.getSymbolAtLocation(source)
    if (!module) throw new Error(`${file} is no module`)
    const symbols = checker
      .getExportsOfModule(module)
      .map((symbol) => (symbol.flags & ts.SymbolFlags.Alias ? checker.getAliasedSymbol(symbol) : symbol))
    // What several entries offer is told of once.
    const fresh = symbols.filter((symbol) => !seen.has(symbol) && !symbol.declarations?.some(isInternal))
    for (const symbol of fresh) seen.add(symbol)
    return { specifier, items: fresh.map((symbol) => toItem(checker, symbol)) }
  })
}

const toItem = (checker: ts.TypeChecker, symbol: ts.Symbol): Item => {
  const declarations = symbol.declarations ?? []
  const [first] = declarations
  if (!first) throw new Error(`${symbol.name} is declared nowhere`)
  return {
    ...describe(checker, symbol, symbol.name),
    kind: kindOf(first),
    signature: declarations.map((node) => signatureOf(statementOf(node))).join('\n'),
    parameters: declarations.flatMap(parametersOf),
    members: declarations.flatMap((node) => toMembers(checker, node, symbol.name)),
  }
}

const toMembers = (checker: ts.TypeChecker, parent: ts.Node, path: string): Item[] =>
  membersOf(parent).flatMap((node) => {
    const symbol = checker.getSymbolAtLocation(node.name)
    if (!symbol) throw new Error(`${path} has a member without a symbol`)
    const name = `${path}.${symbol.name}`
    return {
      ...describe(checker, symbol, name),
      kind: 'member' as const,
      signature: signatureOf(node),
      parameters: parametersOf(node),
      members: toMembers(checker, node, name),
    }
  })

const describe = (checker: ts.TypeChecker, symbol: ts.Symbol, name: string) => ({
  name,
  text: ts.displayPartsToString(symbol.getDocumentationComment(checker)),
  tags: symbol.getJsDocTags(checker).map(({ name, text }) => ({ name, text: ts.displayPartsToString(text) })),
})

type Member =
  | ts.PropertySignature
  | ts.MethodSignature
  | ts.PropertyDeclaration
  | ts.MethodDeclaration
  | ts.GetAccessorDeclaration

/** The nearest members below a node, in object types wherever they stand in it. */
const membersOf = (parent: ts.Node): Member[] => {
  const found: Member[] = []
  const visit = (node: ts.Node): void => {
    if (isMember(node)) found.push(node)
    else if (!isAside(node)) ts.forEachChild(node, visit)
  }
  ts.forEachChild(parent, visit)
  return found
}

/** What a condition or a guard compares with is given to nobody, and nobody constructs an error. */
const isAside = (node: ts.Node): boolean =>
  ts.isConditionalTypeNode(node) || ts.isTypePredicateNode(node) || ts.isConstructorDeclaration(node)

/** Private and internal ones are not; nor are well-known symbols, whose meaning is the language's. */
const isMember = (node: ts.Node): node is Member =>
  (ts.isPropertySignature(node) ||
    ts.isMethodSignature(node) ||
    ts.isPropertyDeclaration(node) ||
    ts.isMethodDeclaration(node) ||
    ts.isGetAccessorDeclaration(node)) &&
  (ts.isIdentifier(node.name) || ts.isStringLiteral(node.name)) &&
  !(ts.getCombinedModifierFlags(node) & ts.ModifierFlags.Private) &&
  !isInternal(node)

const isInternal = (node: ts.Node): boolean =>
  ts.getJSDocTags(node).some(({ tagName }) => tagName.text === 'internal')

const kindOf = (node: ts.Node): Item['kind'] => {
  if (ts.isClassDeclaration(node)) return 'class'
  if (ts.isInterfaceDeclaration(node)) return 'interface'
  if (ts.isTypeAliasDeclaration(node)) return 'type'
  return ts.isFunctionDeclaration(node) || functionTypeOf(node) ? 'function' : 'constant'
}

const functionTypeOf = (node: ts.Node): ts.FunctionTypeNode | undefined =>
  ts.isVariableDeclaration(node) && node.type && ts.isFunctionTypeNode(node.type) ? node.type : undefined

const parametersOf = (node: ts.Node): string[] => {
  const { parameters = [] } = (ts.isFunctionLike(node) ? node : functionTypeOf(node)) ?? {}
  return parameters.map(({ name }) => name.getText())
}

/** `const` and `declare` stand two levels above the name of a constant. */
const statementOf = (node: ts.Node): ts.Node => (ts.isVariableDeclaration(node) ? node.parent.parent : node)

const printer = ts.createPrinter({ removeComments: true })

const signatureOf = (node: ts.Node): string => {
  const text = printer.printNode(ts.EmitHint.Unspecified, node, node.getSourceFile())
  const line = text.replace(/^(export )?(declare )?/, '').replace(/;$/, '')
  // Members follow one by one.
  return ts.isInterfaceDeclaration(node) || ts.isClassDeclaration(node)
    ? line.replace(/ \{[\s\S]*$/, '')
    : line
}
