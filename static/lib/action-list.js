/**
 * Pure questions about quick actions and their order.
 * Runs on: anywhere.
 */

/** @import { QuickAction } from "./types.js" */

/**
 * What has to be changed so that an action stands one place further up or down. Actions may share
 * a place, so all are numbered through; only those whose number changes are told.
 * @param {QuickAction[]} actions in their order
 * @param {number} id
 * @param {number} by -1 up, 1 down
 * @returns {{id: number, display_order: number}[]}
 */
export function moved(actions, id, by) {
  const from = actions.findIndex((action) => action.id === id);
  const to = from + by;
  if (from < 0 || to < 0 || to >= actions.length) return [];
  const order = actions.toSpliced(from, 1).toSpliced(to, 0, actions[from]);
  return order.flatMap(({ id: each, display_order }, place) =>
    display_order === place ? [] : [{ id: each, display_order: place }],
  );
}

/**
 * The actions after such changes, as the hub will list them.
 * @param {QuickAction[]} actions
 * @param {{id: number, display_order: number}[]} changes
 * @returns {QuickAction[]}
 */
export function withOrder(actions, changes) {
  const orders = new Map(changes.map(({ id, display_order }) => [id, display_order]));
  return actions
    .map((action) => ({ ...action, display_order: orders.get(action.id) ?? action.display_order }))
    .sort((a, b) => a.display_order - b.display_order || a.id - b.id);
}
