/**
 * The composition of the dashboard: routes, and who may see them.
 * Runs on: the page.
 */
import { effect } from "@preact/signals";
import { render } from "preact";
import { useEffect, useRef } from "preact/hooks";
import { Shell } from "./components/shell.js";
import { Failure, Loading } from "./components/states.js";
import { Toasts } from "./components/toasts.js";
import { html } from "./lib/html.js";
import { followSession } from "./lib/hub.js";
import { plugins } from "./lib/plugins.js";
import * as router from "./lib/router.js";
import { isAdmin, phase, restore } from "./lib/session.js";
import { DashboardView } from "./views/dashboard.js";
import { HistoryView } from "./views/history.js";
import { LoginView } from "./views/login.js";
import { NotFoundView } from "./views/not-found.js";
import { PluginPageView } from "./views/plugin-page.js";
import { PluginsView } from "./views/plugins.js";
import { RunView } from "./views/run.js";
import { ScriptsView } from "./views/scripts.js";

/** @param {Record<string, string>} params */
const pluginName = ({ id }) => plugins.find(id)?.name ?? "Plugin";

/** @type {{pattern: string, title: string | ((params: Record<string, string>) => string),
 *   view: import("preact").FunctionComponent<any>, adminOnly?: boolean}[]} */
const ROUTES = [
  { pattern: "/", title: "Dashboard", view: DashboardView },
  { pattern: "/scripts", title: "Scripts", view: ScriptsView, adminOnly: true },
  { pattern: "/scripts/run/:id", title: "Scripts", view: ScriptsView, adminOnly: true },
  { pattern: "/history", title: "History", view: HistoryView },
  { pattern: "/history/:id", title: "Run", view: RunView },
  { pattern: "/plugins", title: "Plugins", view: PluginsView },
  { pattern: "/plugins/:id/*", title: pluginName, view: PluginPageView },
];

/** @param {string} pathname */
function routeFor(pathname) {
  for (const route of ROUTES) {
    const params = router.match(route.pattern, pathname);
    if (!params || (route.adminOnly && !isAdmin.value)) continue;
    const title = typeof route.title === "string" ? route.title : route.title(params);
    return { title, view: route.view, params };
  }
  return { title: "Not found", view: NotFoundView, params: {} };
}

function Page() {
  const { title, view: View, params } = routeFor(router.path.value);
  const shown = useRef("");
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

function App() {
  if (phase.value === "in") return html`<${Page} /><${Toasts} />`;
  if (phase.value === "out") return html`<${LoginView} /><${Toasts} />`;
  if (phase.value === "asking") return html`<main class="alone"><${Loading} what="Toru" /></main>`;
  return html`<main class="alone">
    <${Failure} message="The hub cannot be reached. Is it running?" onRetry=${restore} />
  </main>`;
}

router.connect();
effect(guardAddress);
followSession();
restore();
render(html`<${App} />`, /** @type {Element} */ (document.getElementById("app")));
