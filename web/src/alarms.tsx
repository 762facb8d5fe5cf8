import {useEffect, useState} from "preact/hooks";
import {ask, request} from "./api.ts";
import type {Alarm, Severity} from "./api_types.ts";
import * as format from "./format.ts";
import {store, useTopics} from "./store.ts";

const RANK: Record<Severity, number> = {critical: 0, warning: 1, info: 2};

/** Raised before acknowledged before cleared, worse first, newer first. */
export function alarm_order(a: Alarm, b: Alarm): number {
  const state = {raised: 0, acknowledged: 1, cleared: 2};
  return state[a.state] - state[b.state] || RANK[a.severity] - RANK[b.severity] || b.raised_at.localeCompare(a.raised_at);
}

export function AlarmsPage() {
  useTopics("alarms", "link", "who");
  const [shows_cleared, set_cleared] = useState(false);
  const [severity, set_severity] = useState<Severity | "">("");
  const [problem, set_problem] = useState("");
  useEffect(() => {
    if (!shows_cleared) return void store.load_alarms();
    void ask<{alarms: Alarm[]}>("/api/v1/alarms?state=cleared&limit=200").then(
      (page) => page.alarms.reverse().forEach((alarm) => store.take_alarm(alarm)), (error: Error) => set_problem(error.message));
  }, [shows_cleared]);
  const shown = [...store.alarms.values()]
    .filter((alarm) => (shows_cleared || alarm.state !== "cleared") && (!severity || alarm.severity === severity))
    .sort(alarm_order);
  const waiting = shown.filter((alarm) => alarm.state === "raised");

  async function acknowledge(alarms: Alarm[]) {
    set_problem("");
    try {
      for (const alarm of alarms) store.take_alarm(await ask<Alarm>(`/api/v1/alarms/${encodeURIComponent(alarm.alarm_id)}/acknowledge`, {method: "POST", body: {}}));
    } catch (error) {
      set_problem((error as Error).message);
    }
  }

  return (
    <main class="alarms">
      <div class="tools">
        <h1>Alarms</h1>
        <label>Severity <select value={severity} onChange={(event) => set_severity(event.currentTarget.value as Severity | "")}>
          <option value="">all</option><option>critical</option><option>warning</option><option>info</option>
        </select></label>
        <label class="check"><input type="checkbox" checked={shows_cleared} onChange={(event) => set_cleared(event.currentTarget.checked)} /> Cleared ones too</label>
        <span class="spring" />
        {store.may_operate && waiting.length > 1 && <button type="button" onClick={() => void acknowledge(waiting)}>{`Acknowledge all ${waiting.length}`}</button>}
      </div>
      {problem && <p class="problem" role="alert">{problem}</p>}
      <ul class="alarm-list">
        {shown.map((alarm) => (
          <li key={alarm.alarm_id} class={`alarm-row ${alarm.severity} ${alarm.state}`} data-alarm={alarm.alarm_id} data-state={alarm.state}>
            <AlarmPicture alarm={alarm} />
            <div class="what">
              <span class={`severity ${alarm.severity}`}>{alarm.severity}</span>
              <strong>{alarm.message}</strong>
              <span class="where">
                {alarm.camera ? <a href={`/cameras/${alarm.camera}`}>{alarm.camera}</a> : "whole run"}{`, rule ${alarm.rule}`}
              </span>
            </div>
            <div class="when">
              <span>{`Raised ${format.moment(alarm.raised_at)}`}</span>
              {alarm.acknowledged_at && <span>{`Acknowledged ${format.moment(alarm.acknowledged_at)}${alarm.acknowledged_by ? ` by ${alarm.acknowledged_by}` : ""}`}</span>}
              {alarm.cleared_at && <span>{`Cleared ${format.moment(alarm.cleared_at)}`}</span>}
            </div>
            {store.may_operate && alarm.state === "raised" && <button type="button" class="main" onClick={() => void acknowledge([alarm])}>Acknowledge</button>}
            {alarm.state !== "raised" && <span class="done">{alarm.state}</span>}
          </li>
        ))}
      </ul>
      {shown.length === 0 && <p class="empty">No alarms.</p>}
    </main>
  );
}

function AlarmPicture({alarm}: {alarm: Alarm}) {
  const [address, set_address] = useState<string | null>(null);
  useEffect(() => {
    if (!alarm.has_picture) return;
    let made: string | null = null;
    let is_gone = false;
    request(`/api/v1/alarms/${encodeURIComponent(alarm.alarm_id)}/picture.jpg`)
      .then((response) => response.blob())
      .then((blob) => {
        if (is_gone) return;
        made = URL.createObjectURL(blob);
        set_address(made);
      })
      .catch(() => undefined);  // without a picture the row still says all
    return () => {
      is_gone = true;
      if (made) URL.revokeObjectURL(made);
    };
  }, [alarm.alarm_id, alarm.has_picture]);
  if (!address) return <span class="alarm-picture" aria-hidden="true" />;
  return <a class="alarm-picture" href={address} target="_blank"><img src={address} alt={`Picture of the alarm of ${alarm.camera ?? "the run"}`} /></a>;
}
