import {useEffect, useState} from "preact/hooks";
import type {Alarm, CameraStats, Device, Host, Result, Role, RunEvent, StreamMessage, Totals, WhoAmI} from "./api_types.ts";
import {ApiError, ask, keep_token} from "./api.ts";
import {History} from "./history.ts";
import {Stream, type Link} from "./stream.ts";

const ANSWERS_KEPT = 24;
const EVENTS_KEPT = 200;
export const CAMERA_COLUMNS = [
  "captured", "answered", "inferred", "carried", "overdue", "lost", "p95", "fidelity", "share", "need",
] as const;
export const TOTAL_COLUMNS = ["answered", "inferred", "carried", "lost", "p95", "fidelity", "utilization", "cpu"] as const;

type Topic = "link" | "stats" | "alarms" | "events" | "who";

/** All that the page knows of the run. One of it; parts of the page listen to topics. */
class Store {
  link: Link = {is_live: false, lost_at: Date.now(), next_try_at: null};
  who: WhoAmI | null = null;
  is_token_wrong = false;
  version = "";
  run = "";
  stats_at: string | null = null;
  cameras = new Map<string, CameraStats>();
  total: Totals = {};
  devices: Device[] = [];
  host: Host | null = null;
  dropped = 0;
  alarms = new Map<string, Alarm>();
  events: RunEvent[] = [];
  histories = new Map<string, History>();
  total_history = new History(TOTAL_COLUMNS);
  private answers = new Map<string, Result[]>();
  private answer_listeners = new Map<string, Set<() => void>>();
  private listeners = new Map<Topic, Set<() => void>>();

  readonly stream = new Stream(
    (message) => this.take(message),
    (link) => {
      const was_live = this.link.is_live;
      this.link = link;
      if (link.is_live && !was_live) void this.load_alarms();
      this.tell("link");
    },
    () => this.check_who(),
  );

  get role(): Role {
    return this.who?.role ?? "none";
  }
  get may_operate(): boolean {
    return this.role === "operate" || this.role === "admin";
  }
  get may_change(): boolean {
    return this.role === "admin";
  }

  /** Learns who it is, and connects where it may; goes on trying where the server does not answer. */
  async start(): Promise<void> {
    this.stream.stop();
    await this.check_who();
    if (this.role !== "none" || !this.who) this.stream.start();
  }

  /** Asks who the token belongs to. False where there is no point in connecting: no answer, or not with this token. */
  private async check_who(): Promise<boolean> {
    try {
      this.who = await ask<WhoAmI>("/api/v1/whoami");
      this.is_token_wrong = false;
    } catch (error) {
      if (!(error instanceof ApiError) || error.status !== 401) return false;
      this.is_token_wrong = true;
      this.who = {name: "", role: "none", is_token_needed: true};
    }
    this.tell("who");
    if (this.role !== "none") return true;
    this.stream.stop();
    return false;
  }

  use_token(token: string | null): Promise<void> {
    keep_token(token);
    return this.start();
  }

  async load_alarms(): Promise<void> {
    const page = await ask<{alarms: Alarm[]}>("/api/v1/alarms?limit=1000").catch(() => null);
    if (!page) return;
    const old = [...this.alarms.values()].filter((alarm) => alarm.state === "cleared");
    this.alarms = new Map([...old, ...page.alarms].map((alarm) => [alarm.alarm_id, alarm]));
    this.tell("alarms");
  }

  take_alarm(alarm: Alarm): void {
    this.alarms.set(alarm.alarm_id, alarm);
    // Cleared ones stay for a look, but not without bound.
    const cleared = [...this.alarms.values()].filter((one) => one.state === "cleared");
    for (const one of cleared.slice(0, Math.max(0, cleared.length - 200))) this.alarms.delete(one.alarm_id);
    this.tell("alarms");
  }

  open_alarms(): Alarm[] {
    return [...this.alarms.values()].filter((alarm) => alarm.state !== "cleared");
  }

  newest_answer(camera: string): Result | undefined {
    return this.answers.get(camera)?.at(-1);
  }

  /** The answer of that very frame; the nearest before it where that one did not come. */
  answer_of(camera: string, seq: number): Result | undefined {
    const kept = this.answers.get(camera) ?? [];
    return kept.findLast((answer) => answer.seq <= seq && answer.origin !== "none") ?? kept[0];
  }

  listen(topic: Topic, listener: () => void): () => void {
    let all = this.listeners.get(topic);
    if (!all) this.listeners.set(topic, (all = new Set()));
    all.add(listener);
    return () => void all.delete(listener);
  }

  listen_answers(camera: string, listener: () => void): () => void {
    let all = this.answer_listeners.get(camera);
    if (!all) this.answer_listeners.set(camera, (all = new Set()));
    all.add(listener);
    return () => void all.delete(listener);
  }

  private tell(topic: Topic): void {
    for (const listener of this.listeners.get(topic) ?? []) listener();
  }

  private take(message: StreamMessage): void {
    switch (message.type) {
      case "hello":
        if (this.run && this.run !== message.run) this.forget_run();
        if (this.version && this.version !== message.version) location.reload();
        this.run = message.run;
        this.version = message.version;
        break;
      case "answer":
        this.take_answer(message.result);
        break;
      case "stats":
        this.take_stats(message);
        break;
      case "alarm":
        this.take_alarm(message.alarm);
        break;
      case "event":
        this.events = [message.event, ...this.events].slice(0, EVENTS_KEPT);
        this.tell("events");
        break;
      case "error":
        console.error(`stream: ${message.error}; ${message.remedy ?? ""}`);
        break;
    }
  }

  private take_answer(result: Result): void {
    let kept = this.answers.get(result.camera);
    if (!kept) this.answers.set(result.camera, (kept = []));
    kept.push(result);
    if (kept.length > ANSWERS_KEPT) kept.shift();
    for (const listener of this.answer_listeners.get(result.camera) ?? []) listener();
  }

  private take_stats(message: StreamMessage & {type: "stats"}): void {
    this.stats_at = message.at;
    this.cameras = new Map(message.cameras.map((camera) => [camera.id, camera]));
    this.total = message.total;
    this.devices = message.devices;
    this.host = message.host;
    this.dropped = message.dropped;
    const at_s = Date.parse(message.at) / 1000;
    for (const camera of message.cameras) {
      let history = this.histories.get(camera.id);
      if (!history) this.histories.set(camera.id, (history = new History(CAMERA_COLUMNS)));
      const rates = camera.rates;
      history.push(at_s, {
        captured: rates.captured_per_s, answered: rates.answered_per_s, inferred: rates.inferred_per_s, carried: rates.carried_per_s,
        overdue: rates.overdue_per_s, lost: rates.lost_per_s, p95: camera.p95_ms, fidelity: camera.fidelity, share: camera.share_inferred,
        need: camera.need,
      });
    }
    for (const id of this.histories.keys()) if (!this.cameras.has(id)) this.forget(id);
    this.total_history.push(at_s, {
      answered: message.total.rates?.answered_per_s, inferred: message.total.rates?.inferred_per_s,
      carried: message.total.rates?.carried_per_s, lost: message.total.rates?.lost_per_s, p95: message.total.p95_ms,
      fidelity: message.total.fidelity, utilization: message.devices[0]?.utilization, cpu: message.host.cpu_utilization,
    });
    this.tell("stats");
  }

  private forget(id: string): void {
    this.histories.delete(id);
    this.answers.delete(id);
  }

  private forget_run(): void {
    this.answers.clear();
    this.histories.clear();
    this.total_history = new History(TOTAL_COLUMNS);
    this.events = [];
  }
}

export const store = new Store();

/** Draws the component again whenever one of the topics has news. */
export function useTopics(...topics: Topic[]): void {
  const [, draw] = useState(0);
  useEffect(() => {
    const ends = topics.map((topic) => store.listen(topic, () => draw((n) => n + 1)));
    draw((n) => n + 1);
    return () => ends.forEach((end) => end());
  }, topics);
}
