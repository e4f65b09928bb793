/**
 * All plugins: how they do, and what can be done with them.
 * Runs on: the page.
 */
import { useEffect } from "preact/hooks";
import { PluginCard } from "../components/plugin-card.js";
import { PluginSheet } from "../components/plugin-sheet.js";
import { Empty, Failure, Loading } from "../components/states.js";
import { html } from "../lib/html.js";
import { plugins } from "../lib/plugins.js";
import { navigate, url } from "../lib/router.js";
import { isAdmin } from "../lib/session.js";

const FIGURES_EVERY_MS = 3_000;

/** Asks for the figures again and again; states come by themselves. */
function useFreshFigures() {
  useEffect(() => {
    let timer = 0;
    let wanted = true;
    const again = async () => {
      if (!document.hidden) await plugins.refresh();
      if (wanted) timer = setTimeout(again, FIGURES_EVERY_MS);
    };
    again();
    return () => {
      wanted = false;
      clearTimeout(timer);
    };
  }, []);
}

function None() {
  return html`<div class="card"><${Empty} icon="plugin" title="No plugins yet">
    ${
      isAdmin.value
        ? html`Put an executable file whose name ends in <code class="mono">.binary</code> into the
          plugins folder of this machine. It appears here within seconds, and is started.`
        : "The administrator of this machine can add some."
    }
  <//></div>`;
}

function List() {
  const list = plugins.list.value;
  if (!list && plugins.error.value) {
    return html`<${Failure} message=${plugins.error.value} onRetry=${() => plugins.refresh()} />`;
  }
  if (!list) return html`<${Loading} what="the plugins" rows=${4} />`;
  if (list.length === 0) return html`<${None} />`;
  return html`<ul class="plugin-list">
    ${list.map((plugin) => html`<${PluginCard} key=${plugin.file} plugin=${plugin} />`)}
  </ul>`;
}

export function PluginsView() {
  useFreshFigures();
  const shown = isAdmin.value ? url.value.searchParams.get("details") : null;
  return html`<header class="page-head"><h1 tabindex="-1">Plugins</h1></header>
    <${List} />
    ${shown && html`<${PluginSheet} key=${shown} id=${shown} onClose=${() => navigate("/plugins")} />`}`;
}
