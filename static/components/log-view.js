/**
 * A log: oldest line on top, the live end below, older lines on request.
 * Runs on: the page.
 */
import { useEffect, useLayoutEffect, useRef, useState } from "preact/hooks";
import { useConnected } from "../lib/connect.js";
import { formatExactTime, formatFullTime } from "../lib/format.js";
import { html } from "../lib/html.js";
import { socket } from "../lib/hub.js";
import { furtherFields, LEVELS, PluginLog } from "../lib/plugin-log.js";
import { Button } from "./button.js";
import { Empty, Failure, Loading } from "./states.js";

/** @import { LogEntry } from "../lib/plugin-log.js" */
/** @import { LogLevel, LogLine } from "../lib/types.js" */

const NEAR_END_PX = 24;
const SEARCH_PAUSE_MS = 250;

/** @param {{line: LogLine}} props */
export function LogRow({ line }) {
  const fields = furtherFields(line).join(" ");
  return html`<li data-level=${line.level}>
    <time datetime=${line.timestamp} title=${formatFullTime(line.timestamp)}>${formatExactTime(line.timestamp)}</time>
    <span class="log-level">${line.level}</span>
    <span class="log-text">${line.message}${line.error && html` <em>${line.error}</em>`}${fields && html` <span class="muted">${fields}</span>`}</span>
  </li>`;
}

/** @param {{entry: LogEntry}} props */
function Entry({ entry }) {
  if ("line" in entry) return html`<${LogRow} line=${entry.line} />`;
  return html`<li class="log-gap">${entry.missing.toLocaleString()} lines came too fast to show</li>`;
}

/**
 * Keeps the newest line in sight while one is at the end, and what one reads where it is.
 * @param {LogEntry[]} entries
 */
function useScroll(entries) {
  const box = useRef(/** @type {HTMLDivElement | null} */ (null));
  const was = useRef({ first: 0, height: 0, atEnd: true });
  useLayoutEffect(() => {
    const list = box.current;
    if (!list) return;
    const first = entries[0]?.key ?? 0;
    if (was.current.atEnd) list.scrollTop = list.scrollHeight;
    else if (first > was.current.first && was.current.height < list.scrollHeight)
      list.scrollTop += list.scrollHeight - was.current.height;
    was.current = { ...was.current, first, height: list.scrollHeight };
  }, [entries]);
  const onScroll = () => {
    const list = box.current;
    if (!list) return;
    const below = list.scrollHeight - list.scrollTop - list.clientHeight;
    was.current.atEnd = below < NEAR_END_PX;
  };
  return { box, onScroll };
}

/** @param {{log: PluginLog, label: string}} props */
function Lines({ log, label }) {
  const entries = log.entries.value ?? [];
  const { box, onScroll } = useScroll(entries);
  return html`<div class="log" role="log" aria-label=${label} tabindex="0" ref=${box} onScroll=${onScroll}>
    ${!log.atEnd.value && html`<div class="more"><${Button} look="quiet" onPress=${() => log.more()}>Show older lines<//></div>`}
    <ol>${entries.map((entry) => html`<${Entry} key=${entry.key} entry=${entry} />`)}</ol>
  </div>`;
}

/** @param {{log: PluginLog, label: string, sought: string}} props */
function Content({ log, label, sought }) {
  if (!log.entries.value && log.error.value) {
    return html`<${Failure} message=${log.error.value} onRetry=${() => log.refresh()} />`;
  }
  if (!log.entries.value) return html`<${Loading} what="the log" rows=${6} />`;
  if (log.isEmpty.value) {
    return html`<${Empty} icon="list" title=${sought ? "No line says this" : "Nothing is logged"}>
      Lines of this level and above ${sought && "that say it "}appear here as they are written.
    <//>`;
  }
  return html`<${Lines} log=${log} label=${label} />`;
}

/** @param {{level: LogLevel, onChoose: (level: LogLevel) => void}} props */
function LevelChoice({ level, onChoose }) {
  const choose = (/** @type {Event} */ event) => {
    const { value } = /** @type {HTMLSelectElement} */ (event.currentTarget);
    onChoose(/** @type {LogLevel} */ (value));
  };
  return html`<label class="inline">
    Level
    <select value=${level} onChange=${choose}>
      ${LEVELS.map((name) => html`<option key=${name} value=${name}>${name === "error" ? name : `${name} and above`}</option>`)}
    </select>
  </label>`;
}

/** @param {{onSeek: (sought: string) => void}} props */
function SearchField({ onSeek }) {
  const timer = useRef(0);
  useEffect(() => () => clearTimeout(timer.current), []);
  const seek = (/** @type {Event} */ event) => {
    const { value } = /** @type {HTMLInputElement} */ (event.currentTarget);
    clearTimeout(timer.current);
    timer.current = setTimeout(() => onSeek(value.trim()), SEARCH_PAUSE_MS);
  };
  return html`<label class="inline log-search">
    Search
    <input type="search" maxlength="200" placeholder="in what was logged" onInput=${seek} />
  </label>`;
}

/** @param {{id: string, name: string}} props */
export function LogView({ id, name }) {
  const [level, setLevel] = useState(/** @type {LogLevel} */ ("info"));
  const [sought, setSought] = useState("");
  const log = useConnected(() => new PluginLog(socket, id, level, sought), [id, level, sought]);
  return html`<section class="log-view" aria-label="Log">
    <div class="log-tools">
      <${LevelChoice} level=${level} onChoose=${setLevel} />
      <${SearchField} onSeek=${setSought} />
    </div>
    <${Content} key=${`${level} ${sought}`} log=${log} label=${`Log of ${name}`} sought=${sought} />
  </section>`;
}
