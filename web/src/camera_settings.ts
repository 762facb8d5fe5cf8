import type {ApiProblem, CameraSettings} from "./api_types.ts";

/** What the form for a camera shows, by the API's names. Empty: the default; of user and password, that they stay as they are. */
export type Values = Record<string, string>;

const TEXTS = ["id", "url", "transport", "model", "priority", "slo", "policy", "frozen_after"] as const;
const SECRETS = ["username", "password"] as const;
const RATES = ["rate", "every"] as const;

/** Of `settings` as the server shows them: without user and password. */
export function values_of(settings: CameraSettings): Values {
  return Object.fromEntries([...TEXTS, ...RATES].map((key) => [key, settings[key] == null ? "" : String(settings[key])]));
}

/** The body that brings the camera from `before` to `now`: only what differs, so that defaults stay defaults. `forgets_login` takes user and
 *  password away. Adding is a change from nothing. */
export function change_of(before: Values, now: Values, forgets_login = false): Record<string, unknown> {
  const change: Record<string, unknown> = {};
  const of = (values: Values, key: string) => (values[key] ?? "").trim();
  for (const key of TEXTS) if (of(before, key) !== of(now, key)) change[key] = of(now, key) || null;
  if (RATES.some((key) => of(before, key) !== of(now, key))) {
    // They exclude each other: the one that is given takes the other's place, and the default is that of both.
    const given = RATES.find((key) => of(now, key));
    if (given) change[given] = Number(of(now, given));
    else for (const key of RATES) change[key] = null;
  }
  if (forgets_login) for (const key of SECRETS) change[key] = null;
  else {
    if (of(now, "username")) change["username"] = of(now, "username");
    if (now["password"]) change["password"] = now["password"];  // spaces may belong to it
  }
  return change;
}

/** The server's refusal by the field that it concerns; under "" what concerns none of `fields`. */
export function problems_by_field(problem: ApiProblem, fields: readonly string[]): Record<string, string> {
  const found: Record<string, string> = {};
  for (const one of problem.problems?.length ? problem.problems : [problem]) {
    const name = one.where.split(/[.\s:]+/).at(-1) ?? "";
    const field = fields.includes(name) ? name : "";
    const place = field || !one.where || one.where === "body" ? "" : `${one.where}: `;
    const text = place + one.error + (one.remedy && !one.remedy.startsWith("see docs/") ? `; ${one.remedy}` : "");
    found[field] = found[field] ? `${found[field]}\n${text}` : text;
  }
  return found;
}
