import {useState} from "preact/hooks";
import type {Rule} from "./api_types.ts";
import type {Shape} from "./zone_model.ts";

const KINDS: [string, string][] = [
  ["presence", "something is there"], ["absence", "nothing is there"], ["count", "too many are there"], ["dwell", "one stays too long"],
  ["line_crossing", "a line is crossed"], ["defect", "a defect is seen"], ["camera_down", "the camera is down"], ["camera_frozen", "the picture is frozen"],
];
const OF_CAMERA = new Set(["camera_down", "camera_frozen"]);

export function rule_words(rule: Rule): string {
  const kind = KINDS.find(([key]) => key === rule.kind)?.[1] ?? rule.kind.replaceAll("_", " ");
  const parts = [kind];
  if (rule["classes"]) parts.push([rule["classes"]].flat().join(", "));
  if (rule["zone"] || rule["line"]) parts.push(`at ${String(rule["zone"] ?? rule["line"])}`);
  if (rule["over"] != null) parts.push(`over ${String(rule["over"])}`);
  if (rule["under"] != null) parts.push(`under ${String(rule["under"])}`);
  if (rule["for"]) parts.push(`for ${String(rule["for"])}`);
  return parts.join(", ");
}

/** The camera's rules: what raises an alarm. Rules that ask for more than this form shows stay as they are. */
export function RuleForm({rules, shapes, on_change}: {rules: Rule[]; shapes: Shape[]; on_change?: (rules: Rule[]) => void}) {
  const [kind, set_kind] = useState("presence");
  const places = shapes.filter((shape) => shape.kind === (kind === "line_crossing" ? "line" : "zone"));

  function add(event: SubmitEvent) {
    event.preventDefault();
    const form = new FormData(event.currentTarget as HTMLFormElement);
    const text = (name: string) => String(form.get(name) ?? "").trim();
    const taken = new Set(rules.map((rule) => rule.id));
    const base = [text("place"), kind].filter(Boolean).join("-").replaceAll("_", "-");
    let id = base;
    for (let n = 2; taken.has(id); ++n) id = `${base}-${n}`;
    const rule: Rule = {id, kind, severity: text("severity")};
    if (text("place")) rule[kind === "line_crossing" ? "line" : "zone"] = text("place");
    const classes = text("classes").split(",").map((one) => one.trim()).filter(Boolean);
    if (classes.length) rule["classes"] = classes;
    if (kind === "count") rule["over"] = Number(text("over") || 0);
    if (text("for")) rule["for"] = text("for");
    on_change?.([...rules, rule]);
  }

  return (
    <>
      <ul class="rules">
        {rules.map((rule) => (
          <li key={rule.id}>
            <span class={`severity ${String(rule["severity"] ?? "warning")}`}>{String(rule["severity"] ?? "warning")}</span>
            <span><b>{rule.id}</b>{`: ${rule_words(rule)}`}</span>
            {on_change && <button type="button" onClick={() => on_change(rules.filter((one) => one !== rule))} aria-label={`Remove rule ${rule.id}`}>Remove</button>}
          </li>
        ))}
        {rules.length === 0 && <li class="dim">No rules of its own: nothing that is seen here raises an alarm.</li>}
      </ul>
      {on_change && (
        <form class="rule-form" onSubmit={add}>
          <label>Alarm when <select value={kind} onChange={(event) => set_kind(event.currentTarget.value)}>{KINDS.map(([key, title]) => <option key={key} value={key}>{title}</option>)}</select></label>
          {!OF_CAMERA.has(kind) && <label>Where <select name="place">
            {kind !== "line_crossing" && <option value="">whole picture</option>}
            {places.map((shape) => <option key={shape.name}>{shape.name}</option>)}
          </select></label>}
          {!OF_CAMERA.has(kind) && <label>Classes <input name="classes" placeholder="all" /></label>}
          {kind === "count" && <label>More than <input name="over" type="number" min="0" step="1" required /></label>}
          {kind !== "line_crossing" && <label>For at least <input name="for" placeholder={kind === "dwell" ? "30s" : "default"} maxLength={16} /></label>}
          <label>Severity <select name="severity"><option>warning</option><option>critical</option><option>info</option></select></label>
          <button type="submit" disabled={kind === "line_crossing" && places.length === 0}>Add rule</button>
        </form>
      )}
    </>
  );
}
