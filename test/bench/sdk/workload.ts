/** What every peer is answered with, whatever it asks for: the shape of our API, which none of them checks. */
const action = (id: string) => ({
  id,
  object: 'action',
  name: 'Refund a charge',
  status: 'active',
  method: 'POST',
  target_url: 'https://api.example.com/charges/{charge_id}/refund',
  created_at: '2026-11-01T12:00:00.000Z',
  updated_at: '2026-11-02T12:00:00.000Z',
})

export const listPage = JSON.stringify({
  object: 'list',
  data: [action('act_1'), action('act_2')],
  has_more: false,
  next_cursor: null,
})

export const createdItem = JSON.stringify(action('act_3'))

/** Whether a peer has handed on `listPage`, in whatever object of its own. */
export const isListPage = (page: unknown): boolean => {
  const { data } = page as { data?: { id?: unknown }[] }
  return data?.length === 2 && data[0]?.id === 'act_1' && data[1]?.id === 'act_2'
}

export const isCreatedItem = (item: unknown): boolean => (item as { id?: unknown }).id === 'act_3'
