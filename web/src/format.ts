// Numbers and times as people read them; "-" where nothing is known, never 0.

export const UNKNOWN = "\u2013";

export function per_second(value: number | null | undefined): string {
  if (value == null) return UNKNOWN;
  return value >= 100 ? value.toFixed(0) : value.toFixed(1);
}

export function milliseconds(value: number | null | undefined): string {
  if (value == null) return UNKNOWN;
  return value >= 10_000 ? `${(value / 1000).toFixed(1)} s` : `${value.toFixed(0)} ms`;
}

export function percent(share: number | null | undefined, digits = 0): string {
  return share == null ? UNKNOWN : `${(100 * share).toFixed(digits)} %`;
}

/** Rounded down: .9996 is not 1. */
export function fidelity(value: number | null | undefined): string {
  return value == null ? UNKNOWN : (Math.floor(value * 1000 + 1e-9) / 1000).toFixed(3);
}

/** Wrong boxes times frames: what counts is how it compares, so two digits or whole ones. */
export function need(value: number | null | undefined): string {
  if (value == null) return UNKNOWN;
  return value >= 10 || value === 0 ? count(value) : value.toFixed(value >= 1 ? 1 : 2);
}

/** "each frame", "each 2nd frame". */
export function each_nth(n: number): string {
  if (n === 1) return "each frame";
  const ending = Math.floor(n / 10) % 10 === 1 ? "th" : ["th", "st", "nd", "rd"][n % 10] ?? "th";
  return `each ${n}${ending} frame`;
}

export function bytes(value: number | null | undefined): string {
  if (value == null) return UNKNOWN;
  const units = ["B", "kB", "MB", "GB", "TB"];
  let unit = 0;
  let left = value;
  while (left >= 1000 && unit < units.length - 1) {
    left /= 1000;
    ++unit;
  }
  return `${left >= 100 || unit === 0 ? left.toFixed(0) : left.toFixed(1)} ${units[unit]}`;
}

export function count(value: number | null | undefined): string {
  return value == null ? UNKNOWN : String(Math.round(value)).replace(/\B(?=(\d{3})+(?!\d))/g, "\u2009");
}

const two = (n: number) => String(n).padStart(2, "0");

/** Local time of day, 14:03:09. */
export function clock_time(ms: number): string {
  const at = new Date(ms);
  return `${two(at.getHours())}:${two(at.getMinutes())}:${two(at.getSeconds())}`;
}

/** Date and time where it is not today. */
export function moment(text: string | null, now = Date.now()): string {
  if (!text) return UNKNOWN;
  const at = new Date(text);
  const is_today = at.toDateString() === new Date(now).toDateString();
  const date = `${at.getFullYear()}-${two(at.getMonth() + 1)}-${two(at.getDate())} `;
  return (is_today ? "" : date) + clock_time(at.getTime());
}

/** "12 s", "4 min", "3 h 20 min", "2 d 4 h". */
export function duration(ms: number): string {
  const s = Math.max(0, Math.round(ms / 1000));
  if (s < 100) return `${s} s`;
  const min = Math.floor(s / 60);
  if (min < 60) return `${min} min`;
  const h = Math.floor(min / 60);
  if (h < 48) return min % 60 ? `${h} h ${min % 60} min` : `${h} h`;
  return h % 24 ? `${Math.floor(h / 24)} d ${h % 24} h` : `${Math.floor(h / 24)} d`;
}

/** "gate-1 changed, yard added"; at most three names of a kind. Empty: nothing. */
export function describe_changes(changes: {added: string[]; changed: string[]; removed: string[]}): string {
  const list = (ids: string[], what: string) => {
    if (ids.length === 0) return [];
    const named = ids.length <= 3 ? ids.join(", ") : `${ids.slice(0, 2).join(", ")} and ${ids.length - 2} more`;
    return [`${named} ${what}`];
  };
  return [...list(changes.added, "added"), ...list(changes.changed, "changed"), ...list(changes.removed, "removed")].join("; ");
}
