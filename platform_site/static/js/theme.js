// Runs before the first paint, so that a chosen theme never flashes. Shares the admin's key and attribute.
(() => {
  const root = document.documentElement;
  root.classList.add("js");
  try {
    const theme = localStorage.getItem("theme");
    if (theme) root.dataset.theme = theme;
  } catch { /* storage is closed: the system's theme stays */ }
})();
