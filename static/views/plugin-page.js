/**
 * A plugin's own page, which its bundle draws.
 * Runs on: the page.
 */
import { useSignal } from "@preact/signals";
import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import { Icon } from "../components/icon.js";
import { PluginIcon } from "../components/plugin-icon.js";
import { PluginBadge } from "../components/plugin-state.js";
import { PageFailed, PageWaits } from "../components/plugin-trouble.js";
import { Empty, Failure, Loading } from "../components/states.js";
import { html } from "../lib/html.js";
import { detailsOf, isServing } from "../lib/plugin-list.js";
import { PluginMount } from "../lib/plugin-mount.js";
import { plugins } from "../lib/plugins.js";
import { isAdmin } from "../lib/session.js";
import { NotFoundView } from "./not-found.js";

/** @import { Plugin } from "../lib/types.js" */
/** @import { ReadonlySignal } from "@preact/signals" */

/** @param {{plugin: Plugin, path: ReadonlySignal<string>, onRetry: () => void}} props */
function Mounted({ plugin, path, onRetry }) {
  const host = useRef(/** @type {HTMLDivElement | null} */ (null));
  const mount = useMemo(() => new PluginMount(plugin, path), []);
  useEffect(() => {
    if (host.current) mount.connect(host.current);
    return () => mount.disconnect();
  }, [mount]);
  const phase = mount.phase.value;
  return html`${phase === "loading" && html`<${Loading} what="the plugin's page" />`}
    ${phase === "failed" && html`<${PageFailed} plugin=${plugin} error=${mount.error.value} onRetry=${onRetry} />`}
    ${
      phase === "absent" &&
      html`<div class="card">
        <${Empty} icon="plugin" title="This plugin has no page">It works without one.<//>
      </div>`
    }
    <div class="plugin-host" hidden=${phase !== "mounted" && phase !== "loading"} ref=${host}></div>`;
}

/** @param {{plugin: Plugin, path: ReadonlySignal<string>}} props */
function Content({ plugin, path }) {
  const [tries, setTries] = useState(0);
  if (!isServing(plugin)) return html`<${PageWaits} plugin=${plugin} />`;
  return html`${
    plugin.state === "unhealthy" &&
    html`<p class="banner" role="status"><${Icon} name="alert" />This plugin does not answer at the moment.</p>`
  }
    <${Mounted}
      key=${`${plugin.version} ${plugin.sandboxed} ${tries}`}
      plugin=${plugin}
      path=${path}
      onRetry=${() => setTries(tries + 1)}
    />`;
}

/** @param {{plugin: Plugin | undefined}} props */
function Absent({ plugin }) {
  return html`<${NotFoundView}>
    ${plugin && isAdmin.value && html`The plugin ${plugin.name} is disabled. <a href="/plugins">To the plugins</a>`}
  <//>`;
}

/** @param {{params: {id: string, rest: string}}} props */
export function PluginPageView({ params }) {
  const path = useSignal(params.rest);
  path.value = params.rest;
  const plugin = plugins.find(params.id);
  if (!plugins.loaded.value && plugins.error.value) {
    return html`<${Failure} message=${plugins.error.value} onRetry=${() => plugins.refresh()} />`;
  }
  if (!plugins.loaded.value) return html`<${Loading} what="the plugin" />`;
  if (!plugin?.enabled) return html`<${Absent} plugin=${plugin} />`;
  return html`<header class="page-head">
      <h1 class="plugin-title" tabindex="-1"><${PluginIcon} plugin=${plugin} />${plugin.name}</h1>
      ${
        isAdmin.value &&
        html`<div class="plugin-actions">
          <${PluginBadge} plugin=${plugin} />
          <a class="button quiet" href=${detailsOf(plugin)}>Details</a>
        </div>`
      }
    </header>
    <${Content} key=${plugin.id} plugin=${plugin} path=${path} />`;
}
