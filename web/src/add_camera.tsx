import {useEffect, useState} from "preact/hooks";
import {ask} from "./api.ts";
import type {Camera} from "./api_types.ts";
import {Dialog} from "./dialog.tsx";
import {go} from "./router.ts";

/** Adds a camera. What is left empty comes from the configuration's defaults. */
export function AddCamera({on_close}: {on_close: () => void}) {
  const [problem, set_problem] = useState("");
  const [is_busy, set_busy] = useState(false);
  const [models, set_models] = useState<string[]>([]);
  useEffect(() => {
    ask<{models: {model: string}[]}>("/api/v1/models").then((answer) => set_models([...new Set(answer.models.map((one) => one.model))]), () => undefined);
  }, []);

  async function add(event: SubmitEvent) {
    event.preventDefault();
    const form = new FormData(event.currentTarget as HTMLFormElement);
    const body: Record<string, unknown> = {};
    for (const [key, value] of form) if (typeof value === "string" && value.trim()) body[key] = key === "rate" ? Number(value) : key === "password" ? value : value.trim();
    set_busy(true);
    set_problem("");
    try {
      const camera = await ask<Camera>("/api/v1/cameras", {method: "POST", body});
      on_close();
      go(`/cameras/${camera.id}`);
    } catch (error) {
      set_problem((error as Error).message);
      set_busy(false);
    }
  }

  return (
    <Dialog title="Add camera" on_close={on_close}>
      <form onSubmit={(event) => void add(event)} autocomplete="off">
        <label>Name <input name="id" required maxLength={64} pattern="[A-Za-z0-9._\-]+" autofocus placeholder="gate-3"
          title="Letters, digits, dot, dash and underscore" /></label>
        <label>Address <input name="url" required maxLength={2048} placeholder="rtsp://10.0.0.5/stream1" spellcheck={false} /></label>
        <div class="row">
          <label>User <input name="username" maxLength={256} autocomplete="off" /></label>
          <label>Password <input name="password" type="password" maxLength={256} autocomplete="new-password" /></label>
        </div>
        <div class="row">
          <label>Answers a second <input name="rate" type="number" min="0.01" max="240" step="any" placeholder="default" /></label>
          <label>Latency promised <input name="slo" maxLength={16} placeholder="default, such as 200ms" /></label>
        </div>
        <div class="row">
          <label>Priority <select name="priority">
            <option value="">default</option><option>critical</option><option>normal</option><option>background</option>
          </select></label>
          {models.length > 1 && <label>Model <select name="model"><option value="">default</option>{models.map((model) => <option key={model}>{model}</option>)}</select></label>}
        </div>
        {problem && <p class="problem" role="alert">{problem}</p>}
        <div class="actions">
          <button type="button" onClick={on_close}>Cancel</button>
          <button type="submit" class="main" disabled={is_busy}>{is_busy ? "Adding" : "Add"}</button>
        </div>
      </form>
    </Dialog>
  );
}
