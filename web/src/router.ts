import {useEffect, useState} from "preact/hooks";

export type Page = {name: "wall"} | {name: "camera"; id: string} | {name: "alarms"} | {name: "fleet"} | {name: "unknown"};

export function page_at(path: string): Page {
  const camera = /^\/cameras\/([A-Za-z0-9._-]{1,64})$/.exec(path);
  if (camera) return {name: "camera", id: camera[1]!};
  if (path === "/" || path === "/cameras") return {name: "wall"};
  if (path === "/alarms") return {name: "alarms"};
  if (path === "/fleet") return {name: "fleet"};
  return {name: "unknown"};
}

export function go(path: string): void {
  history.pushState(null, "", path);
  dispatchEvent(new PopStateEvent("popstate"));
  scrollTo(0, 0);
}

/** Clicks on links within the page change it without loading it anew; others, and those with a modifier key, are the browser's. */
export function follow_links(event: MouseEvent): void {
  if (event.defaultPrevented || event.button !== 0 || event.ctrlKey || event.metaKey || event.shiftKey || event.altKey) return;
  const link = (event.target as Element).closest("a");
  if (!link || link.target || link.origin !== location.origin || link.pathname.startsWith("/api/") || link.hasAttribute("download")) return;
  event.preventDefault();
  go(link.pathname);
}

export function usePath(): string {
  const [path, set_path] = useState(location.pathname);
  useEffect(() => {
    const change = () => set_path(location.pathname);
    addEventListener("popstate", change);
    return () => removeEventListener("popstate", change);
  }, []);
  return path;
}
