// The page of the plugin for tests: it says where it is, and leaves its `api` where tests find it.
(() => {
  window.ToruPlugins.pages = {
    async mount(container, api) {
      Object.assign(window, { api });
      const title = document.createElement("h2");
      title.textContent = "The page of Pages";
      const where = document.createElement("p");
      const card = document.createElement("div");
      card.className = "card";
      card.append(title, where);
      for (const [href, words] of [
        ["/history", "To the history"],
        ["/plugins/pages/deep", "Deeper"],
        ["/api/plugins/route/pages/file", "A file"],
      ]) {
        const link = document.createElement("a");
        Object.assign(link, { href, textContent: words });
        card.append(link, " ");
      }
      container.append(card);
      api.path.subscribe((path) => {
        where.textContent = `At ${path}`;
      });
      api.theme.onChange((theme) => {
        card.dataset.scheme = theme.scheme;
      });
    },
    unmount(container) {
      container.replaceChildren();
    },
  };
})();
