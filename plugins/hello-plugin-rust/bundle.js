// The page of the hello plugin: a greeting and a button that counts, with the counter in the backend.
(() => {
  const STYLE = {
    card:
      "display:grid;gap:var(--space-4,1rem);justify-items:start;max-inline-size:32rem;" +
      "padding:var(--space-5,1.5rem);border:1px solid var(--line,#ddd);" +
      "border-radius:var(--radius,.6rem);background:var(--surface,#fff);color:var(--ink,#222);",
    title: "margin:0;font-size:var(--text-xl,1.375rem);",
    muted: "margin:0;color:var(--muted,#666);",
    count: "margin:0;font-size:var(--text-figure,1.875rem);font-variant-numeric:tabular-nums;",
    button:
      "min-block-size:2.375rem;padding:0 var(--space-4,1rem);border:0;cursor:pointer;" +
      "border-radius:var(--radius-s,.4rem);background:var(--accent,#3450b8);" +
      "color:var(--on-accent,#fff);font:inherit;font-weight:600;",
  };

  /** What `unmount` has to end, by container. */
  const pages = new WeakMap();

  function element(name, style, text) {
    const made = document.createElement(name);
    made.style.cssText = style;
    made.textContent = text;
    return made;
  }

  async function ask(api, path, options) {
    const answer = await api.fetch(path, options);
    if (!answer.ok) {
      throw new Error(`The plugin answered ${answer.status}.`);
    }
    return answer.json();
  }

  function mount(container, api) {
    unmount(container);
    const page = { alive: true };
    pages.set(container, page);

    const card = element("section", STYLE.card, "");
    const greeting = element("h2", STYLE.title, "Hello!");
    const hint = element("p", STYLE.muted, "A counter that the plugin keeps in its storage:");
    const count = element("p", STYLE.count, "…");
    const button = element("button", STYLE.button, "Count one more");
    count.dataset.testid = "hello-count";
    count.setAttribute("role", "status");
    button.type = "button";
    card.append(greeting, hint, count, button);
    container.replaceChildren(card);

    const show = (target, text) => {
      if (page.alive) {
        target.textContent = text;
      }
    };
    const fail = (error) => {
      if (page.alive) {
        api.showToast?.(error.message, "error");
      }
    };

    button.addEventListener("click", async () => {
      button.disabled = true;
      try {
        const state = await ask(api, "/api/counter", { method: "POST" });
        show(count, String(state.count));
      } catch (error) {
        fail(error);
      } finally {
        button.disabled = false;
      }
    });

    ask(api, "/").then((state) => show(greeting, state.message), fail);
    ask(api, "/api/counter").then((state) => show(count, String(state.count)), fail);
  }

  function unmount(container) {
    const page = pages.get(container);
    if (page) {
      page.alive = false;
      pages.delete(container);
      container.replaceChildren();
    }
  }

  window.ToruPlugins = window.ToruPlugins || {};
  window.ToruPlugins["hello-plugin-rust"] = { mount, unmount };
})();
