import type { UpdateWorkspace, Workspace } from '../../generated/client.ts'
import { pageOf } from '../list.ts'
import { getById } from '../state.ts'
import { changesBetween, type Rule, type RuleCall } from './call.ts'

export const workspaces: Record<string, Rule> = {
  list: ({ state, query, listName }) => pageOf([state.workspace], query, listName),
  get: ({ state, params }) => getById('workspace', [state.workspace], params.id),
  update: (call) => {
    const { settings, ...rest } = call.body as UpdateWorkspace
    return change(call, ({ settings: present }) => ({ ...rest, settings: { ...present, ...settings } }))
  },
  pause: (call) => change(call, () => ({ status: 'paused' })),
  resume: (call) => change(call, () => ({ status: 'active' })),
}

const change = ({ state, params, note }: RuleCall, changes: (workspace: Workspace) => object): Workspace => {
  const workspace = getById('workspace', [state.workspace], params.id)
  const before = { ...workspace }
  Object.assign(workspace, changes(workspace), { updated_at: state.timestamp() })
  note(changesBetween(before, workspace))
  return workspace
}
