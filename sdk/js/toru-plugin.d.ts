/**
 * What a plugin's page works with in Toru's dashboard.
 *
 * A page is a classic script, the plugin's `bundle.js`, that registers itself:
 *
 *     // @ts-check
 *     window.ToruPlugins ??= {};
 *     window.ToruPlugins["my-plugin"] = {
 *       mount(container, api) { container.textContent = `Hello ${api.user.displayName}`; },
 *       unmount(container) { container.replaceChildren(); },
 *     };
 *
 * An editor checks it with this file beside it, named in the first line of the bundle:
 * `/// <reference path="./toru-plugin.d.ts" />`.
 *
 * The same bundle runs in the dashboard's own page and in a sandbox, a frame without an origin;
 * where the two differ, it is said here under "In a sandbox".
 */

/** What a bundle registers as `window.ToruPlugins[id]`, or as `window["toru_plugin_" + id]`. */
export interface PluginPage {
  /**
   * Draws the page into an empty element. A promise is waited for; what is thrown is shown to the
   * person, with a button to try again.
   */
  mount(container: HTMLElement, api: PluginApi): unknown;
  /**
   * Ends what `mount` began: timers, listeners. A promise is waited for, up to three seconds,
   * before the page is mounted again.
   *
   * In a sandbox it is called as the frame goes away, and what it asks of `api` arrives no more.
   */
  unmount?(container: HTMLElement): unknown;
}

declare global {
  interface Window {
    /** The pages of plugins by the plugins' ids. It is there before a bundle runs. */
    ToruPlugins?: Record<string, PluginPage>;
  }
}

/** The second argument of `mount`. */
export interface PluginApi {
  /**
   * Asks the plugin's own routes, with the session of whoever looks at the page.
   *
   * In a sandbox bodies are whole, both ways, and have at most 32 MiB; `method`, `headers`, `body`
   * and `signal` are taken of the options; an answer that leads elsewhere (a redirect) is an error.
   *
   * @param path below the plugin's route, such as `/api/items?all=1`
   * @throws {TypeError} the path leads out of the plugin's route, or the hub cannot be reached
   */
  fetch(path?: string, options?: RequestInit): Promise<Response>;

  /**
   * Goes to a page of the dashboard (`/history`), or, without a slash in front, to one of the
   * plugin's own (`settings`, which `path` then tells as `/settings`).
   *
   * @throws {TypeError} the address is not in this dashboard (in a sandbox nothing happens)
   */
  navigate(path: string): void;

  /** Shows a short message in the corner. In a sandbox it begins with the plugin's name. */
  showToast(message: string, kind?: ToastKind): void;

  /** The plugin's storage, which its backend has too. */
  readonly kv: PluginKv;

  /** What the plugin's backend tells live. */
  readonly events: PluginEvents;

  /**
   * Starts a script as whoever looks at the page, who needs the right to: an admin may start all,
   * others those that a quick action names.
   *
   * In a sandbox the person is asked first, once for each script with the same `args`.
   *
   * @param script its file name, such as `backup.sh`
   * @param args by the names of its parameters
   * @returns once it is accepted; it may still wait for its turn
   * @throws {Error} a sentence for people: no such script, no right to it, too many runs
   */
  run(script: string, args?: Record<string, string>): Promise<PluginRun>;

  /** Where below the plugin's page the person is: `/`, or `/settings`. */
  readonly path: Readable<string>;

  /** How the dashboard looks at this moment. */
  readonly theme: PluginTheme;

  /** Who looks at the page. For what to show only: what a person may do, the backend decides. */
  readonly user: { readonly name: string; readonly displayName: string; readonly role: Role };

  /** What the plugin says of itself. */
  readonly plugin: { readonly id: string; readonly name: string; readonly version: string };

  /** Whether this page runs in a sandbox. */
  readonly sandboxed: boolean;
}

export type ToastKind = "success" | "error" | "info";
export type Role = "admin" | "client";
export type Scheme = "light" | "dark";

/** A value that changes. */
export interface Readable<T> {
  /** What it is at this moment. */
  readonly value: T;
  /** The same. */
  peek(): T;
  /**
   * Calls back at once, and with each new value until the page is unmounted.
   *
   * @returns stops it
   */
  subscribe(handler: (value: T) => void): () => void;
}

/** Keys and values are text: at most 256 bytes and 256 KiB of UTF-8. */
export interface PluginKv {
  /** The value of a key, or null when it is not there. */
  get(key: string): Promise<string | null>;
  set(key: string, value: string): Promise<void>;
  /** Deletes a key, which need not be there. */
  delete(key: string): Promise<void>;
  /** A page of the entries whose keys begin with `prefix`, in the order of their keys. */
  list(options?: KvListOptions): Promise<KvPage>;
}

export interface KvListOptions {
  /** What the keys begin with; all do with `""`. */
  prefix?: string;
  /** That of the page before. */
  cursor?: string | null;
  /** 1 to 1,000; 100 if nothing is said. A page ends sooner when its values are large. */
  limit?: number;
}

export interface KvPage {
  entries: KvEntry[];
  /** Where the next page goes on; null when this is the last. */
  cursor: string | null;
}

export interface KvEntry {
  key: string;
  value: string;
  /** The number of the change that made it. */
  version: number;
  /** RFC 3339; null when it stays. */
  expires_at: string | null;
}

export interface PluginEvents {
  /**
   * Calls back with each event of that name that the plugin emits (`event.emit`) while somebody
   * looks; `"*"` is any name. Nothing is kept: what is emitted while nobody listens is gone.
   *
   * A plugin that emits more than 50 events or 512 KiB a second loses the oldest; so does a browser
   * that cannot follow, or whose connection was lost. `missed` says how many.
   *
   * @returns stops it; the end of the page does it too
   */
  on(name: string, handler: (data: any, event: EventInfo) => void): () => void;

  /**
   * Resolves when all handlers are sure to hear what is emitted from now on. Listen, wait for this,
   * then ask for the present state: so nothing falls between.
   */
  ready(): Promise<void>;
}

export interface EventInfo {
  /** What the plugin calls it. */
  name: string;
  /** When it was emitted, RFC 3339 UTC. */
  timestamp: string;
  /** How many events of the plugin, of any name, were lost since the one before. */
  missed: number;
}

export interface PluginRun {
  /** The id of the run, as in `/history/<taskId>`. */
  readonly taskId: string;
  /** Ends it, which may take some seconds; `done` tells when. */
  cancel(): Promise<void>;
  /**
   * Calls back with each piece of output, which is any number of lines or a part of one. Who
   * listens at once hears all from the beginning.
   *
   * @returns stops it; the end of the page does it too
   */
  onOutput(handler: (text: string, piece: OutputPiece) => void): () => void;
  /**
   * How it ended, once all output has been told. It is rejected when the run was interrupted or
   * cannot be followed, and never settles when the page is left before.
   */
  readonly done: Promise<RunEnd>;
}

export interface OutputPiece {
  stream: "stdout" | "stderr";
  /** Bytes of output that were left out here; then the text is empty. */
  missing?: number;
}

export interface RunEnd {
  /** The exit code; negative: the signal that ended it; null when it was cancelled. */
  code: number | null;
  cancelled: boolean;
}

/** As a `Readable` it is the scheme. */
export interface PluginTheme extends Readable<Scheme> {
  readonly scheme: Scheme;
  /**
   * The dashboard's design tokens by the names of their CSS custom properties (`--accent`,
   * `--space-4`), colours as they are in this scheme. In CSS they are simply there:
   * `color: var(--accent)`.
   */
  readonly tokens: Readonly<Record<string, string>>;
  /**
   * Calls back whenever colours have changed, until the page is unmounted.
   *
   * @returns stops it
   */
  onChange(handler: (theme: PluginTheme) => void): () => void;
}
