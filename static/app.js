/**
 * The composition of the dashboard: routes, and who may see them.
 * Runs on: the page.
 */
import { effect } from "@preact/signals";
import { render } from "preact";
import { useEffect, useRef } from "preact/hooks";
import { lazy } from "./components/lazy-view.js";
import { Shell } from "./components/shell.js";
import { Failure, Loading } from "./components/states.js";
import { Toasts } from "./components/toasts.js";
import { html } from "./lib/html.js";
import { followSession } from "./lib/hub.js";
import { pageOfRoute } from "./lib/pages.js";
import { plugins } from "./lib/plugins.js";
import * as router from "./lib/router.js";
import { isAdmin, phase, restore } from "./lib/session.js";
import { DashboardView } from "./views/dashboard.js";
import { LoginView } from "./views/login.js";
import { NotFoundView } from "./views/not-found.js";

/** @import { FunctionComponent } from "preact" */
/** @typedef {FunctionComponent<any> & {preload?: () => Promise<void>}} View */

/** How often a hub that cannot be reached is asked again. */
const ASK_AGAIN_MS = 2_000;

const ScriptsView = lazy(async () => (await import("./views/scripts.js")).ScriptsView);

/** @param {Record<string, string>} params */
const pluginName = ({ id }) => plugins.find(id)?.name ?? "Plugin";

/**
 * Which view an address shows. Its title, and who may see it, are those of the page in
 * `lib/pages.js` that it belongs to. Only what is likely to be seen first is loaded with the rest.
 * @type {{pattern: string, view: View,
 *   title?: string | ((params: Record<string, string>) => string)}[]}
 */
const ROUTES = [
  { pattern: "/", view: DashboardView },
  { pattern: "/scripts", view: ScriptsView },
  { pattern: "/scripts/run/:id", view: ScriptsView },
  { pattern: "/history", view: lazy(async () => (await import("./views/history.js")).HistoryView) },
  {
    pattern: "/account",
    view: lazy(async () => (await import("./views/account.js")).AccountView),
    title: "Your account",
  },
  {
    pattern: "/history/:id",
    view: lazy(async () => (await import("./views/run.js")).RunView),
    title: "Run",
  },
  { pattern: "/monitor", view: lazy(async () => (await import("./views/monitor.js")).MonitorView) },
  { pattern: "/plugins", view: lazy(async () => (await import("./views/plugins.js")).PluginsView) },
  {
    pattern: "/plugins/:id/*",
    view: lazy(async () => (await import("./views/plugin-page.js")).PluginPageView),
    title: pluginName,
  },
  {
    pattern: "/quick-actions",
    view: lazy(async () => (await import("./views/quick-actions.js")).QuickActionsView),
  },
  { pattern: "/users", view: lazy(async () => (await import("./views/users.js")).UsersView) },
  {
    pattern: "/login-history",
    view: lazy(async () => (await import("./views/login-history.js")).LoginHistoryView),
  },
  { pattern: "/actors", view: lazy(async () => (await import("./views/actors.js")).ActorsView) },
  {
    pattern: "/settings",
    view: lazy(async () => (await import("./views/settings.js")).SettingsView),
  },
];

/**
 * @param {string} pathname
 * @returns {{title: string, view: View, params: Record<string, string>}}
 */
function routeFor(pathname) {
  for (const { pattern, view, title } of ROUTES) {
    const params = router.match(pattern, pathname);
    const page = pageOfRoute(pattern);
    if (!params || (page?.adminOnly && !isAdmin.value)) continue;
    const name = typeof title === "function" ? title(params) : title;
    return { title: name ?? page?.name ?? "Toru", view, params };
  }
  return { title: "Not found", view: NotFoundView, params: {} };
}

/**
 * Begins to load a page when somebody points at a link to it, or moves the focus there.
 * @param {Event} event
 */
function loadAhead({ target }) {
  const link = target instanceof Element ? target.closest("a") : null;
  if (link?.origin === location.origin) routeFor(link.pathname).view.preload?.();
}

function usePagesAhead() {
  useEffect(() => {
    const kinds = ["pointerover", "pointerdown", "focusin"];
    for (const kind of kinds) document.addEventListener(kind, loadAhead);
    return () => {
      for (const kind of kinds) document.removeEventListener(kind, loadAhead);
    };
  }, []);
}

function Page() {
  const { title, view: View, params } = routeFor(router.path.value);
  const shown = useRef("");
  usePagesAhead();
  useEffect(() => {
    document.title = `${title} · Toru`;
    if (shown.current) document.getElementById("content")?.focus();
    shown.current = title;
  }, [title]);
  return html`<${Shell}><${View} params=${params} /><//>`;
}

/** Keeps the address in step with the session: to the login page, and back to where one was. */
function guardAddress() {
  const { pathname, search, searchParams } = router.url.value;
  const atLogin = pathname === "/login";
  if (phase.value === "out" && !atLogin) {
    const next = encodeURIComponent(pathname + search);
    router.navigate(pathname === "/" ? "/login" : `/login?next=${next}`, { replace: true });
  } else if (phase.value === "in" && atLogin) {
    const next = searchParams.get("next") ?? "/";
    const isOurs =
      next.startsWith("/") && new URL(next, location.origin).origin === location.origin;
    router.navigate(isOurs ? next : "/", { replace: true });
  }
}

function Unreachable() {
  useEffect(() => {
    const timer = setInterval(() => restore({ quietly: true }), ASK_AGAIN_MS);
    return () => clearInterval(timer);
  }, []);
  return html`<main class="alone">
    <h1 class="visually-hidden">Toru</h1>
    <${Failure}
      message="The hub cannot be reached. Trying again by itself…"
      onRetry=${() => restore({ quietly: true })}
    />
  </main>`;
}

function App() {
  if (phase.value === "in") return html`<${Page} /><${Toasts} />`;
  if (phase.value === "out") return html`<${LoginView} /><${Toasts} />`;
  if (phase.value === "asking") return html`<main class="alone"><${Loading} what="Toru" /></main>`;
  return html`<${Unreachable} />`;
}

router.connect();
effect(guardAddress);
followSession();
restore();
render(html`<${App} />`, /** @type {Element} */ (document.getElementById("app")));
