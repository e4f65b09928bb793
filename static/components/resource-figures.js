/**
 * The four figures of the machine, live.
 * Runs on: the page.
 */
import { useConnected } from "../lib/connect.js";
import { formatBytes, formatPercent, formatUptime } from "../lib/format.js";
import { html } from "../lib/html.js";
import { socket } from "../lib/hub.js";
import { ResourceStore } from "../lib/resource-store.js";
import { FigureCard } from "./figure-card.js";
import { Failure } from "./states.js";

/** @import { Disk } from "../lib/types.js" */

const NEARLY_FULL = 85;

/**
 * The disk that the card shows: the one that holds the system, else the largest.
 * @param {Disk[]} disks
 * @returns {Disk | undefined}
 */
export function mainDisk(disks) {
  const bySize = disks.toSorted((a, b) => b.total_space - a.total_space);
  return disks.find((disk) => disk.mount_point === "/") ?? bySize[0];
}

/** @param {number} count @param {string} noun */
const counted = (count, noun) => `${count} ${noun}${count === 1 ? "" : "s"}`;

/** @param {Disk[]} disks @param {Disk | undefined} main */
function storageDetail(disks, main) {
  if (!main) return "No disk is known";
  const free = `${formatBytes(main.available_space)} free of ${formatBytes(main.total_space)}`;
  const others = disks.filter((disk) => disk !== main);
  const fullest = others.toSorted((a, b) => b.usage_percent - a.usage_percent)[0];
  if (!fullest) return free;
  if (fullest.usage_percent < NEARLY_FULL) return `${free} · ${others.length} more`;
  return `${free} · ${fullest.mount_point} ${formatPercent(fullest.usage_percent)}`;
}

export function ResourceFigures() {
  const store = useConnected(() => new ResourceStore(socket), []);
  const now = store.latest.value;
  if (!now && store.error.value) {
    return html`<${Failure} message=${store.error.value} onRetry=${() => store.refresh()} />`;
  }
  const trail = store.trail.value;
  const disk = mainDisk(now?.disks ?? []);
  return html`<section class="figures" aria-label="This machine" aria-busy=${!now}>
    <${FigureCard}
      icon="cpu"
      title="CPU"
      value=${now && formatPercent(now.cpu_percent)}
      detail=${now ? `${counted(now.cpu_cores.length, "core")} in this machine` : ""}
      percent=${now?.cpu_percent}
      trail=${trail.cpu}
    />
    <${FigureCard}
      icon="memory"
      title="Memory"
      value=${now && formatPercent(now.memory_percent)}
      detail=${now ? `${formatBytes(now.memory_used)} of ${formatBytes(now.memory_total)}` : ""}
      percent=${now?.memory_percent}
      trail=${trail.memory}
    />
    <${FigureCard}
      icon="uptime"
      title="Uptime"
      value=${now && formatUptime(now.uptime_seconds)}
      more=${now?.host_name}
      detail=${now?.system_name || (now ? "Since the last start" : "")}
    />
    <${FigureCard}
      icon="storage"
      title="Storage"
      value=${now && (disk ? formatPercent(disk.usage_percent) : "–")}
      detail=${now ? storageDetail(now.disks, disk) : ""}
      percent=${disk?.usage_percent}
    />
  </section>`;
}
