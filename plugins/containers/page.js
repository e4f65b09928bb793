// The page of the containers: a list, and one container with its log.

const ID = "containers";

const STATES = {
  running: ["Running", "good"],
  paused: ["Paused", "warn"],
  restarting: ["Restarting", "moving"],
  removing: ["Being removed", "moving"],
  created: ["Never started", "idle"],
  exited: ["Stopped", "idle"],
  dead: ["Dead", "bad"],
};
const HEALTH = {
  unhealthy: ["Unhealthy", "bad"],
  starting: ["Starting", "moving"],
};
const POLICIES = {
  no: "Never",
  "": "Never",
  always: "Always",
  "unless-stopped": "Unless it was stopped",
  "on-failure": "When it has failed",
};
const DONE = { start: "has been started", stop: "has been stopped", restart: "was restarted" };

function stateOf({ state, health }) {
  if (state === "running" && HEALTH[health]) return HEALTH[health];
  return STATES[state] ?? [state || "Unknown", "idle"];
}

const groupOf = ({ state }) =>
  state === "running" || state === "restarting" || state === "paused" ? "running" : "stopped";

function question(action, { risk }) {
  if (action === "start") return null;
  if (risk === "toru") return "Toru itself runs in this container: this page ends with it.";
  return action === "restart"
    ? "It is away for a moment, and has ten seconds to end by itself."
    : "It has ten seconds to end by itself; what it does for others ends until it is started again.";
}

function tell(container) {
  const { state } = container;
  const isUp = groupOf(container) === "running";
  const why = container.out_of_memory ? "It had too little memory. " : "";
  return {
    title: container.name,
    subtitle: container.image,
    state: stateOf(container),
    facts: [
      ["Started", moment(container.started_s)],
      ["Ended", isUp ? "" : moment(container.finished_s)],
      ["Exit code", isUp || state === "created" ? "" : container.exit_code],
      ["What went wrong", `${why}${container.error}`],
      ["Ports", container.ports.join(", ")],
      ["Restarts by itself", POLICIES[container.restart_policy] ?? container.restart_policy],
      ["Restarts so far", container.restarts || ""],
      ["Created", moment(container.created_s)],
      ["Id", container.id.slice(0, 12)],
      [
        "Folders",
        container.folders
          .map(({ from, to, writable }) => `${from} → ${to}${writable ? "" : " (read only)"}`)
          .join(", "),
        true,
      ],
    ],
    actions: [
      ["Start", !isUp && state !== "removing"],
      ["Restart", state === "running"],
      ["Stop", isUp],
    ],
  };
}

function done(action, { container, pending }) {
  const [word] = stateOf(container);
  const sentence = pending
    ? `${container.name}: this takes a while; it goes on. Now: ${word}.`
    : `${container.name} ${DONE[action]}. Now: ${word}.`;
  return { thing: container, sentence };
}

register(ID, (api, root) => {
  const href = ({ name }) => `/plugins/${ID}/${encodeURIComponent(name)}`;
  let engine = "";

  function row(container) {
    const [word, mood] = stateOf(container);
    const link = make("a", { href: href(container), text: container.name });
    const { image, project } = container;
    const text = make("div", { class: "tp-muted", text: project ? `${image} · ${project}` : image });
    return {
      key: container.id,
      href: href(container),
      search: `${container.name} ${image} ${project} ${word} ${container.ports.join(" ")}`,
      group: groupOf(container),
      cells: [
        make("div", {}, link, text),
        stateBadge([word, mood], container.state),
        make("span", { class: "tp-muted", text: container.ports.join(", ") }),
        make("span", { class: "tp-muted", text: container.status }),
      ],
    };
  }

  function count(containers) {
    const running = containers.filter((one) => groupOf(one) === "running").length;
    return `${containers.length} containers of ${engine}: ${running} running`;
  }

  function list() {
    const view = filteredList({
      what: "containers",
      groups: [
        ["running", "Running"],
        ["stopped", "Stopped"],
      ],
      load: async () => {
        const told = await ask(api, "/api/containers");
        engine = told.engine;
        return { items: told.containers, reason: told.reason };
      },
      row,
      count,
    });
    return { element: view.element, close: whileLookedAt(view.refresh, 5_000) };
  }

  function detail([name]) {
    const path = `/api/containers/${encodeURIComponent(name)}`;
    return detailView({
      api,
      root,
      name,
      back: "All containers",
      path,
      logs: `/api/plugins/${ID}${path}/logs`,
      tell,
      question,
      act: (action) => `${path}/${action}`,
      done,
      readLine: ({ source }) =>
        source === "stderr" ? { mood: "warn", word: "error output" } : {},
    });
  }

  return { list, detail };
});
