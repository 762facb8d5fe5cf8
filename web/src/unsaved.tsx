import {useEffect, useState} from "preact/hooks";
import {ask} from "./api.ts";
import type {Config} from "./api_types.ts";
import {describe_changes} from "./format.ts";
import {store, useTopics} from "./store.ts";

/** Says which changes end with the run, and saves them into the configuration when asked to. For those who may. */
export function Unsaved() {
  useTopics("who", "link");
  const [config, set_config] = useState<Config | null>(null);
  const [problem, set_problem] = useState("");
  const [is_busy, set_busy] = useState(false);
  const may_save = store.may_change && store.link.is_live;
  const load = () => ask<Config>("/api/v1/config").then(set_config, () => undefined);
  useEffect(() => {
    if (!may_save) return;
    void load();
    let newest = store.events[0]?.id;
    return store.listen("events", () => {
      const event = store.events[0];
      if (!event || event.id === newest) return;
      newest = event.id;
      if (/^(config_|camera_(added|changed|removed))/.test(event.kind)) void load();
    });
  }, [may_save]);

  async function save() {
    set_busy(true);
    set_problem("");
    await ask("/api/v1/config/save", {method: "POST"}).catch((error: Error) => set_problem(error.message));
    await load();
    set_busy(false);
  }

  const changes = config && may_save && config.save_changes !== "never" ? describe_changes(config.unsaved) : "";
  if (!changes || !config?.config_path) return null;
  return (
    <div class="unsaved" role="status">
      <span><strong>Not saved:</strong>{` ${changes}. ${problem ? "" : `Without saving this ends with the run.`}`}{problem && <span class="problem" role="alert">{problem}</span>}</span>
      <button type="button" disabled={is_busy} onClick={() => void save()}>{is_busy ? "Saving" : `Save to ${config.config_path}`}</button>
    </div>
  );
}
