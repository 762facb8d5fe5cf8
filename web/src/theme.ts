export type Theme = "system" | "light" | "dark";
const KEY = "framemill.theme";

export function read_theme(): Theme {
  const kept = localStorage.getItem(KEY);
  return kept === "light" || kept === "dark" ? kept : "system";
}

/** "system" follows the machine's own setting. */
export function set_theme(theme: Theme): void {
  if (theme === "system") localStorage.removeItem(KEY);
  else localStorage.setItem(KEY, theme);
  document.documentElement.dataset.theme = theme;
  dispatchEvent(new Event("framemill-theme"));
}
