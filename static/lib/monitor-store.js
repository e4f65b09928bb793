/**
 * What the monitor shows: the newest sample, the history of a range, and the runs in it.
 * Runs on: the page.
 */
import { signal } from "@preact/signals";
import { get } from "./api.js";
import { Cleanups } from "./connect.js";
import { LiveQuery } from "./live-query.js";
import { Trail } from "./monitor-trail.js";
import { withTask } from "./task-list.js";

/** @import { HubSocket } from "./socket.js" */
/** @import { Range } from "./monitor-ranges.js" */
/** @import { History, Sample } from "./monitor-trail.js" */
/** @import { Task } from "./types.js" */

/** Up to this step a chart grows with every second; longer ones are asked for again. */
const LIVE_STEP_S = 10;
const RELOAD_LEAST_MS = 60_000;
const RELOAD_MOST_MS = 300_000;
const MOST_RUNS = 300;

/** A trail grows in place; a new one of these says that it did. */
class Shown {
  /** @param {Trail} trail */
  constructor(trail) {
    this.trail = trail;
  }
}

/** Follows the machine while the page is seen; a hidden page costs nothing and catches up. */
export class MonitorStore {
  /** @type {import("@preact/signals").Signal<Sample | null>} */
  latest = signal(null);
  /** The moment that the person looks at, in seconds since the epoch; null is now.
   * @type {import("@preact/signals").Signal<number | null>} */
  cursor = signal(null);
  range;

  /** @type {LiveQuery<Shown>} */
  #history;
  /** @type {LiveQuery<Task[]>} */
  #runs;
  #socket;
  #cleanups = new Cleanups();
  #reloadTimer = 0;
  #following = false;

  /**
   * @param {HubSocket} socket
   * @param {Range} range
   */
  constructor(socket, range) {
    this.range = range;
    this.#socket = socket;
    this.#history = new LiveQuery(socket, {
      topic: "resources",
      load: () => this.#load(),
      apply: (shown, sample) => this.#grow(shown, sample),
    });
    this.#runs = new LiveQuery(socket, {
      topic: "tasks",
      load: () => this.#loadRuns(),
      apply: withTask,
    });
    this.shown = this.#history.value;
    this.error = this.#history.error;
    this.tasks = this.#runs.value;
  }

  connect() {
    document.addEventListener("visibilitychange", this.#look);
    this.#look();
  }

  disconnect() {
    document.removeEventListener("visibilitychange", this.#look);
    this.#rest();
  }

  /** Loads anew. */
  refresh() {
    this.#runs.refresh();
    return this.#history.refresh();
  }

  #look = () => {
    if (document.hidden) this.#rest();
    else this.#follow();
  };

  #follow() {
    if (this.#following) return;
    this.#following = true;
    this.#cleanups.add(
      this.#socket.subscribe("resources", (sample) => {
        this.latest.value = sample;
      }),
    );
    this.#history.connect();
    this.#runs.connect();
    const step = (this.range.seconds / 600) * 1000;
    if (step <= LIVE_STEP_S * 1000) return;
    const every = Math.min(RELOAD_MOST_MS, Math.max(RELOAD_LEAST_MS, step));
    this.#reloadTimer = setInterval(() => this.refresh(), every);
  }

  #rest() {
    if (!this.#following) return;
    this.#following = false;
    this.#cleanups.run();
    clearInterval(this.#reloadTimer);
    this.#history.disconnect();
    this.#runs.disconnect();
  }

  async #load() {
    /** @type {[History, Sample]} */
    const [history, now] = await Promise.all([
      get(`resources/history?range=${this.range.id}`),
      get("resources"),
    ]);
    this.latest.value ??= now;
    return new Shown(new Trail(history, this.range.seconds));
  }

  /** @param {Shown} shown @param {Sample} sample */
  #grow(shown, sample) {
    const { trail } = shown;
    if (trail.step > LIVE_STEP_S || !trail.append(sample)) return shown;
    return new Shown(trail);
  }

  /** Runs that began a while before count too, for they may reach into the range. */
  async #loadRuns() {
    const after = new Date(Date.now() - 2 * Math.max(3_600, this.range.seconds) * 1000);
    const query = new URLSearchParams({ limit: String(MOST_RUNS), output: "0" });
    query.set("after", after.toISOString());
    const [recent, running] = await Promise.all([
      get(`history?${query}`),
      get("history?state=running&limit=50&output=0"),
    ]);
    return [...recent, ...running].reduce(withTask, /** @type {Task[]} */ ([]));
  }
}
