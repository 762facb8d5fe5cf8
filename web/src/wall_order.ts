import type {CameraStats} from "./api_types.ts";
import {level_of} from "./why.ts";

export type Filter = "all" | "attention" | "alarm" | "up" | "down" | "paused";
export type Sort = "attention" | "name" | "p95" | "fidelity" | "rate";

export const FILTERS: [Filter, string][] = [
  ["all", "All"], ["attention", "Need attention"], ["alarm", "In alarm"], ["up", "Up"], ["down", "Down"], ["paused", "Paused"],
];
export const SORTS: [Sort, string][] = [
  ["name", "Name"], ["attention", "Attention first"], ["p95", "Slowest first"], ["fidelity", "Lowest fidelity first"], ["rate", "Lowest rate first"],
];

function fits(camera: CameraStats, filter: Filter): boolean {
  switch (filter) {
    case "all": return true;
    case "attention": return level_of(camera) > 0 || (camera.alarms ?? 0) > 0;
    case "alarm": return (camera.alarms ?? 0) > 0;
    case "up": return camera.state === "up";
    case "down": return camera.state === "down" || camera.state === "failed" || camera.state === "frozen";
    case "paused": return camera.state === "paused";
  }
}

/** "gate-2" before "gate-10". */
const by_name = new Intl.Collator("en", {numeric: true, sensitivity: "base"}).compare;

/** The cameras to show, in order. All words of `search` have to be in the id. What is not known comes last. Cameras that are equal stay in
 *  the order of their names, so that nothing jumps about. */
export function wall_order(cameras: Iterable<CameraStats>, filter: Filter, search: string, sort: Sort): CameraStats[] {
  const words = search.toLowerCase().split(/\s+/).filter(Boolean);
  const shown = [...cameras].filter((camera) => fits(camera, filter) && words.every((word) => camera.id.toLowerCase().includes(word)));
  const key: Record<Sort, (camera: CameraStats) => number> = {
    name: () => 0,
    attention: (camera) => -((camera.alarms ?? 0) > 0 ? 10 : 0) - level_of(camera),
    p95: (camera) => -(camera.p95_ms ?? -1),
    fidelity: (camera) => camera.fidelity ?? 2,
    rate: (camera) => camera.rates.answered_per_s,
  };
  return shown.sort((a, b) => key[sort](a) - key[sort](b) || by_name(a.id, b.id));
}

/** Entries of one page, the page's number brought into range. */
export function page_of<T>(all: T[], page: number, per_page: number): {page: number; pages: number; shown: T[]} {
  const pages = Math.max(1, Math.ceil(all.length / per_page));
  const inside = Math.min(Math.max(0, page), pages - 1);
  return {page: inside, pages, shown: all.slice(inside * per_page, (inside + 1) * per_page)};
}
