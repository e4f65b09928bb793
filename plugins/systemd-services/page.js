// The page of the services: a list, and one service with its journal.

const ID = "systemd-services";

const STATES = {
  active: ["Running", "good"],
  reloading: ["Reloading", "moving"],
  activating: ["Starting", "moving"],
  deactivating: ["Stopping", "moving"],
  failed: ["Failed", "bad"],
  inactive: ["Stopped", "idle"],
};
const AT_BOOT = {
  enabled: "Starts at boot",
  "enabled-runtime": "Starts until the next boot",
  disabled: "Not started at boot",
  static: "Started by others",
  indirect: "Started by others",
  generated: "Made at boot",
  transient: "Made while running",
  masked: "Blocked (masked)",
  "masked-runtime": "Blocked (masked)",
};
const LEVELS = ["emergency", "alert", "critical", "error", "warning"];
const DONE = { start: "has been started", stop: "has been stopped", restart: "was restarted" };

/** Services do not all run on: some have done their work and count as active. */
function stateOf({ active, sub, load }) {
  if (load === "not-found") return ["Not installed", "idle"];
  if (load === "masked" && active === "inactive") return ["Blocked", "idle"];
  if (active === "active" && sub === "exited") return ["Done", "good"];
  return STATES[active] ?? [active || "Unknown", "idle"];
}

function groupOf({ active }) {
  if (active === "failed") return "failed";
  return active === "inactive" ? "stopped" : "running";
}

const bytes = new Intl.NumberFormat("en", { maximumFractionDigits: 1 });
const mebibytes = (count) => (count === null ? "" : `${bytes.format(count / 1_048_576)} MiB`);

const COSTS = {
  toru: "Toru itself runs in this service: this page ends with it, and nobody here can start it again.",
  connection: "You may lose the connection to this machine.",
};

function question(action, { risk }) {
  if (action === "start") return null;
  if (action === "restart") {
    return risk === "toru"
      ? "Toru itself runs in this service: this page is away for a moment."
      : `It is away for a moment.${risk ? ` ${COSTS[risk]}` : ""}`;
  }
  return COSTS[risk] ?? "What it does for this machine and its users ends until it is started again.";
}

function tell(unit) {
  const isUp = unit.active === "active" || unit.active === "reloading";
  const [word] = stateOf(unit);
  const failure = unit.active === "failed" ? `${unit.result}, exit status ${unit.exit_status}` : "";
  return {
    title: unit.name,
    subtitle: unit.description,
    state: stateOf(unit),
    facts: [
      [`${word} since`, moment(unit.since_s)],
      ["Why it failed", failure],
      ["At boot", AT_BOOT[unit.boot] ?? unit.boot],
      ["Memory", isUp ? mebibytes(unit.memory_bytes) : ""],
      ["Main process", unit.pid],
      ["Restarts by systemd", unit.restarts || ""],
      ["In systemd’s words", `${unit.load}, ${unit.active} (${unit.sub})`],
      ["Unit file", unit.file, true],
    ],
    actions: [
      ["Start", !isUp && unit.can_start],
      ["Restart", isUp && unit.can_start && unit.can_stop],
      ["Stop", unit.active !== "inactive" && unit.active !== "failed" && unit.can_stop],
    ],
  };
}

function done(action, { unit, pending }) {
  const [word] = stateOf(unit);
  const sentence = pending
    ? `${unit.name}: this takes a while; it goes on. Now: ${word}.`
    : `${unit.name} ${DONE[action]}. Now: ${word}.`;
  return { thing: unit, sentence };
}

register(ID, (api, root) => {
  let scope = "system";
  // systemd's names have backslashes, which paths may not have.
  const inPath = (name) => encodeURIComponent(name.replaceAll("\\", "~"));
  const href = (name) => `/plugins/${ID}/${scope}/${inPath(name)}`;

  function row(unit) {
    const [word, mood] = stateOf(unit);
    const link = make("a", { href: href(unit.name), text: unit.name });
    const text = make("div", { class: "tp-muted", text: unit.description });
    return {
      key: unit.name,
      href: href(unit.name),
      search: `${unit.name} ${unit.description} ${word}`,
      group: groupOf(unit),
      cells: [
        make("div", {}, link, text),
        stateBadge([word, mood], `${unit.load || "not loaded"}, ${unit.active} (${unit.sub})`),
        make("span", { class: "tp-muted", text: AT_BOOT[unit.boot] ?? unit.boot }),
        make("span", { class: "tp-muted", text: ago(unit.since_s) }),
      ],
    };
  }

  function count(units) {
    const of = (group) => units.filter((unit) => groupOf(unit) === group).length;
    return `${units.length} services: ${of("running")} running, ${of("failed")} failed`;
  }

  function list() {
    const own = make("input", { type: "checkbox" });
    own.checked = scope === "user";
    const view = filteredList({
      what: "services",
      groups: [
        ["running", "Running"],
        ["failed", "Failed"],
        ["stopped", "Stopped"],
      ],
      load: async () => {
        const asked = scope;
        const { units, reason } = await ask(api, `/api/units?scope=${asked}`);
        return { items: units, reason };
      },
      row,
      count,
      more: [make("label", { class: "tp-check" }, own, "Of Toru’s own user")],
    });
    own.addEventListener("change", () => {
      scope = own.checked ? "user" : "system";
      view.refresh();
    });
    return { element: view.element, close: whileLookedAt(view.refresh, 5_000) };
  }

  function detail([where, given]) {
    if (!given || (where !== "system" && where !== "user")) return null;
    scope = where;
    const name = given.replaceAll("~", "\\");
    const path = `/api/units/${inPath(name)}`;
    const query = `?scope=${where}`;
    return detailView({
      api,
      root,
      name,
      back: "All services",
      path: path + query,
      logs: `/api/plugins/${ID}${path}/logs${query}`,
      tell,
      question,
      act: (action) => `${path}/${action}${query}`,
      done,
      readLine: ({ level }) => ({
        mood: level <= 3 ? "bad" : level === 4 ? "warn" : undefined,
        word: LEVELS[level],
      }),
    });
  }

  return { list, detail };
});
