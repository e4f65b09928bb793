/**
 * What has happened to a plugin, newest first, kept current.
 * Runs on: the page.
 */
import { get } from "./api.js";
import { PagedQuery } from "./paged-query.js";

/** @import { HubSocket } from "./socket.js" */
/** @import { PluginEvent } from "./types.js" */

const PAGE = 50;

/**
 * @param {PluginEvent[]} events
 * @param {PluginEvent} told
 * @returns {PluginEvent[]}
 */
function withEvent(events, told) {
  if (events.some((event) => event.id === told.id)) return events;
  return [...events, told].sort((a, b) => b.id - a.id);
}

export class PluginEvents {
  /** @type {PagedQuery<PluginEvent>} */
  #query;

  /** @param {HubSocket} socket @param {string} id the plugin's */
  constructor(socket, id) {
    const path = `plugins/${encodeURIComponent(id)}/events?limit=${PAGE}`;
    this.#query = new PagedQuery(socket, {
      topic: "plugin-states",
      size: PAGE,
      load: (before) => get(before === null ? path : `${path}&before=${before}`),
      add: withEvent,
      apply: (events, event) =>
        event.type === "event" && event.plugin === id ? withEvent(events, event.event) : events,
    });
    this.events = this.#query.items;
    this.error = this.#query.error;
    this.atEnd = this.#query.atEnd;
  }

  connect() {
    this.#query.connect();
  }

  disconnect() {
    this.#query.disconnect();
  }

  refresh() {
    return this.#query.refresh();
  }

  /** Adds older ones. */
  more() {
    return this.#query.more();
  }
}

/** @type {Record<string, string>} */
const WORDS = {
  started: "Started",
  restarted: "Started again",
  crashed: "Failed",
  stopped: "Stopped",
  disabled: "Disabled",
  enabled: "Enabled",
  installed: "Installed",
  rolled_back: "Rolled back",
  install_failed: "Not installed",
};

/** @param {PluginEvent} event */
export function eventWord(event) {
  return WORDS[event.event_type] ?? event.event_type;
}

/**
 * @param {PluginEvent} event
 * @returns {string} its details as a person says them; those nobody foresaw, as they are
 */
export function eventDetails(event) {
  const details = parsed(event.details);
  if (details === null || typeof details !== "object") return event.details ?? "";
  const {
    reason,
    failures,
    pid,
    protocol,
    exit_code,
    version,
    previous_version,
    sha256,
    ...others
  } = details;
  const rest = Object.keys(others).length > 0 ? [JSON.stringify(others)] : [];
  if (reason === "asked") return ["An administrator asked for it.", ...rest].join(" ");
  const parts = [
    version
      ? `Version ${version}${previous_version ? ` in place of ${previous_version}` : ""}.`
      : "",
    failures > 1 ? `Failure ${failures} in a row.` : "",
    reason,
    pid ? `Process ${pid}, protocol version ${protocol}.` : "",
    !reason && exit_code != null ? `Exit code ${exit_code}.` : "",
  ];
  return [...parts.filter(Boolean), ...rest].join(" ");
}

/** @param {string | null} text */
function parsed(text) {
  try {
    return JSON.parse(text ?? "{}");
  } catch {
    return null;
  }
}
