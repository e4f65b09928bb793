// Sets the chosen theme before the first paint, so that the page never flashes in the other one.
// Runs on: the page, as a classic script in the head.
document.documentElement.dataset.theme = localStorage.getItem("toru.theme") ?? "system";
