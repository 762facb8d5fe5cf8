import type {ComponentChildren} from "preact";
import {useEffect, useId, useRef, useState} from "preact/hooks";
import {ApiError, ask, camera_path} from "./api.ts";
import type {Camera} from "./api_types.ts";
import {change_of, problems_by_field, values_of, type Values} from "./camera_settings.ts";
import {Dialog} from "./dialog.tsx";

const FIELDS = ["id", "url", "username", "password", "rate", "every", "slo", "priority", "policy", "transport", "frozen_after", "model"] as const;

interface Props {
  /** Whose settings are changed; without one a camera is added. */
  camera?: Camera;
  on_close: () => void;
  on_done: (camera: Camera) => void;
}

/** Adds a camera, or changes the settings of one. What is left empty comes from the configuration's defaults. */
export function CameraForm({camera, on_close, on_done}: Props) {
  // As they were when the form was opened: the page learns of changes while somebody types.
  const [before] = useState<Values>(() => (camera?.settings ? values_of(camera.settings) : {}));
  const [problems, set_problems] = useState<Record<string, string>>({});
  const [is_busy, set_busy] = useState(false);
  const [models, set_models] = useState<string[]>([]);
  const [cadence, set_cadence] = useState<"rate" | "every">(before["every"] ? "every" : "rate");
  const [forgets_login, set_forgets_login] = useState(false);
  const [is_new_address, set_new_address] = useState(false);
  const form = useRef<HTMLFormElement>(null);
  useEffect(() => {
    ask<{models: {model: string}[]}>("/api/v1/models").then((answer) => set_models([...new Set(answer.models.map((one) => one.model))]), () => undefined);
  }, []);
  useEffect(() => form.current?.querySelector<HTMLElement>("[aria-invalid]")?.focus(), [problems]);

  async function save(event: SubmitEvent) {
    event.preventDefault();
    const now: Values = {...before, rate: "", every: ""};  // with what the form has no field for
    for (const [key, value] of new FormData(form.current!)) if (typeof value === "string") now[key] = value;
    const change = change_of(before, now, forgets_login);
    if (camera && Object.keys(change).length === 0) return on_close();
    set_busy(true);
    set_problems({});
    try {
      on_done(await (camera ? ask<Camera>(camera_path(camera.id), {method: "PATCH", body: change}) : ask<Camera>("/api/v1/cameras", {method: "POST", body: change})));
    } catch (error) {
      const problem = error instanceof ApiError ? error.problem : null;
      const found: Record<string, string> = problem ? problems_by_field(problem, FIELDS) : {"": (error as Error).message};
      // The server says it to programs; here null is the box to tick.
      if (camera && change["url"] && found["password"]) found["password"] = "Give it again, or tick the box below.";
      set_problems(found);
      set_busy(false);
    }
  }

  const field = (name: string) => ({name, problem: problems[name]});
  const choice = (name: string, options: string[]) => (id: object) => (
    <select name={name} {...id}>
      {["", ...options].map((value) => <option key={value} value={value} selected={value === (before[name] ?? "")}>{value || "default"}</option>)}
    </select>
  );
  return (
    <Dialog title={camera ? `Settings of ${camera.id}` : "Add camera"} on_close={on_close}>
      <form ref={form} onSubmit={(event) => void save(event)} autocomplete="off">
        {!camera && <Field {...field("id")} title="Name">{(id) => <input name="id" required maxLength={64} pattern="[A-Za-z0-9._\-]+" autofocus placeholder="gate-3"
          title="Letters, digits, dot, dash and underscore" {...id} />}</Field>}
        <Field {...field("url")} title="Address">{(id) => <input name="url" required maxLength={2048} placeholder="rtsp://10.0.0.5/stream1" spellcheck={false}
          defaultValue={before["url"] ?? ""} autofocus={!!camera} onInput={(event) => set_new_address(event.currentTarget.value.trim() !== before["url"])} {...id} />}</Field>
        {camera && is_new_address && <p class="hint" role="status">A password is not sent to a new address unasked: give user and password again where the camera has them.</p>}
        <div class="row">
          <Field {...field("username")} title="User">{(id) => <input name="username" maxLength={256} autocomplete="off" spellcheck={false} disabled={forgets_login}
            placeholder={camera && !is_new_address ? "unchanged" : ""} {...id} />}</Field>
          <Field {...field("password")} title="Password">{(id) => <input name="password" type="password" maxLength={256} autocomplete="new-password" disabled={forgets_login}
            placeholder={camera && !is_new_address ? "unchanged" : ""} {...id} />}</Field>
        </div>
        {camera && <label class="check"><input type="checkbox" checked={forgets_login} onChange={(event) => set_forgets_login(event.currentTarget.checked)} /> Forget user and password</label>}
        <div class="row">
          <Field name="cadence" title="Sampled by">{(id) => <select {...id} value={cadence} onChange={(event) => set_cadence(event.currentTarget.value as "rate" | "every")}>
            <option value="rate">rate</option><option value="every">each Nth frame</option>
          </select>}</Field>
          {cadence === "rate"
            ? <Field key="rate" {...field("rate")} title="Answers a second">{(id) => <input name="rate" type="number" min="0.01" max="240" step="any" placeholder="default"
              defaultValue={before["rate"] ?? ""} {...id} />}</Field>
            : <Field key="every" {...field("every")} title="N (1: each frame)">{(id) => <input name="every" type="number" min="1" max="1000000" step="1" placeholder="default"
              defaultValue={before["every"] ?? ""} {...id} />}</Field>}
        </div>
        <div class="row">
          <Field {...field("slo")} title="Latency promised">{(id) => <input name="slo" maxLength={16} placeholder="default, such as 200ms" defaultValue={before["slo"] ?? ""} {...id} />}</Field>
          <Field {...field("priority")} title="Priority">{choice("priority", ["critical", "normal", "background"])}</Field>
        </div>
        <div class="row">
          <Field {...field("policy")} title="Policy">{choice("policy", ["full", "hold", "similarity", "adaptive"])}</Field>
          <Field {...field("transport")} title="Transport of RTSP">{choice("transport", ["auto", "tcp", "udp"])}</Field>
        </div>
        <div class="row">
          <Field {...field("frozen_after")} title="Frozen after">{(id) => <input name="frozen_after" maxLength={16} placeholder="default, such as 30s"
            defaultValue={before["frozen_after"] ?? ""} title="Identical pictures for so long are told" {...id} />}</Field>
          {models.length > 1 && <Field {...field("model")} title="Model">{choice("model", models)}</Field>}
        </div>
        {problems[""] && <p class="problem" role="alert">{problems[""]}</p>}
        {camera && <p class="hint">Saving connects the camera anew; others go on.</p>}
        <div class="actions">
          <button type="button" onClick={on_close}>Cancel</button>
          <button type="submit" class="main" disabled={is_busy}>{camera ? (is_busy ? "Saving" : "Save") : is_busy ? "Adding" : "Add"}</button>
        </div>
      </form>
    </Dialog>
  );
}

/** A field with its name, and below it what the server has against its value. */
function Field({name, title, problem, children}: {name: string; title: string; problem?: string | undefined; children: (id: object) => ComponentChildren}) {
  const id = `${useId()}-${name}`;
  return (
    <div class="field">
      <label for={id}>{title}</label>
      {children({id, ...(problem ? {"aria-invalid": true, "aria-describedby": `${id}-problem`} : {})})}
      {problem && <p class="problem" role="alert" id={`${id}-problem`}>{problem}</p>}
    </div>
  );
}
