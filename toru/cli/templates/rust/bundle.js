// The page of __plugin_name__ in the dashboard: a greeting, and a counter that the plugin keeps.
// @ts-check
/// <reference path="./toru-plugin.d.ts" />
(() => {
  // The dashboard's own colours and sizes, so that the page fits both of its schemes.
  const CARD =
    "display:grid;gap:1rem;justify-items:start;max-inline-size:36rem;padding:1.5rem;" +
    "border:1px solid var(--line,#ccc);border-radius:var(--radius,.6rem);" +
    "background:var(--surface,#fff);color:var(--ink,#222);";
  const FIGURE = "font-size:var(--text-figure,1.875rem);font-variant-numeric:tabular-nums;";
  const BUTTON =
    "min-block-size:2.375rem;padding:0 1rem;margin-inline-end:.5rem;font:inherit;cursor:pointer;" +
    "border:1px solid var(--line,#ccc);border-radius:var(--radius-s,.4rem);" +
    "background:var(--surface,#fff);color:var(--ink,#222);";

  function element(name, text, style = "") {
    const made = document.createElement(name);
    made.textContent = text;
    made.style.cssText = style;
    return made;
  }

  async function ask(api, path, method = "GET") {
    const answer = await api.fetch(path, { method });
    if (!answer.ok) {
      throw new Error(`The plugin answered ${answer.status}.`);
    }
    return answer.json();
  }

  function mount(container, api) {
    const greeting = element("h2", "…");
    const count = element("p", "…", FIGURE);
    count.setAttribute("role", "status");

    const fail = (error) => api.showToast(error.message, "error");
    const show = (state) => {
      count.textContent = String(state.count);
    };
    const button = (text, method) => {
      const made = element("button", text, BUTTON);
      made.type = "button";
      made.addEventListener("click", () => ask(api, "/api/counter", method).then(show, fail));
      return made;
    };

    const buttons = element("div", "");
    buttons.append(button("Count one more", "POST"), button("Begin at 0", "DELETE"));
    const card = element("section", "", CARD);
    const hint = element("p", "Counted so far, kept in the plugin's storage:");
    card.append(greeting, hint, count, buttons);
    container.replaceChildren(card);
    ask(api, "/").then((state) => {
      greeting.textContent = state.message;
    }, fail);
    ask(api, "/api/counter").then(show, fail);
  }

  function unmount(container) {
    container.replaceChildren();
  }

  window.ToruPlugins = window.ToruPlugins || {};
  window.ToruPlugins["__plugin_id__"] = { mount, unmount };
})();
