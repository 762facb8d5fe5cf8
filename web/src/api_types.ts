// The part of data/openapi.yaml that the dashboard uses, by the same names.

export type CameraState = "connecting" | "up" | "frozen" | "down" | "paused" | "ended" | "failed";
export type Origin = "inferred" | "propagated" | "reused" | "none";
export type Severity = "info" | "warning" | "critical";
export type Role = "none" | "view" | "operate" | "admin";
export type Point = [number, number];

export interface Rates {
  captured_per_s: number;
  sampled_per_s: number;
  answered_per_s: number;
  inferred_per_s: number;
  carried_per_s: number;
  overdue_per_s: number;
  lost_per_s: number;
}

export interface Trouble {
  kind: string;
  text: string;
}

export interface CameraStats {
  id: string;
  state: CameraState;
  rates: Rates;
  p95_ms: number | null;
  fidelity?: number | null;
  need?: number | null;
  share_inferred?: number | null;
  alarms?: number;
  troubles: Trouble[];
}

export interface Counts {
  captured: number;
  sampled: number;
  sampled_out: number;
  inferred: number;
  propagated: number;
  reused: number;
  superseded: number;
  late: number;
  failed: number;
  in_flight: number;
  overdue: number;
}

export interface Fidelity {
  value: number | null;
  low: number | null;
  high: number | null;
  audits: number;
  of_group?: boolean;
  reason?: string;
}

export interface ConfigChanges {
  added: string[];
  changed: string[];
  removed: string[];
}

export interface Config {
  config_path: string | null;
  is_watched: boolean;
  save_changes: "ask" | "always" | "never";
  unsaved: ConfigChanges;
}

export interface Rule {
  id: string;
  kind: string;
  [key: string]: unknown;
}

export interface CameraSettings {
  id: string;
  url: string;
  rate?: number | null;
  every?: number | null;
  priority?: string | null;
  slo?: string | null;
  policy?: string | null;
  mask?: Point[][] | null;
  zones?: Record<string, Point[]> | null;
  lines?: Record<string, Point[]> | null;
  rules?: Rule[] | null;
  [key: string]: unknown;
}

export interface Camera {
  id: string;
  index: number;
  state: CameraState;
  last_error: string;
  priority: string;
  policy: string;
  slo_ms: number;
  model: string;
  rung: string;
  rung_changes: number;
  source: {
    codec: string;
    width: number;
    height: number;
    frame_rate_hz: number;
    reconnects: number;
    frames_decoded: number;
    decode_errors: number;
  };
  stats: CameraStats;
  counts: Counts;
  fidelity: Fidelity | null;
  settings: CameraSettings | null;
}

export interface CameraPage {
  cameras: Camera[];
  total: number;
  next_cursor: string | null;
}

export interface Detection {
  class: number;
  label: string;
  score: number;
  box: [number, number, number, number];
  track?: number | null;
}

export interface Result {
  camera: string;
  seq: number;
  frame_index: number;
  captured_at: string;
  origin: Origin;
  reason?: string;
  latency_ms?: number | null;
  on_time?: boolean;
  width?: number;
  height?: number;
  detections?: Detection[];
}

export interface Alarm {
  alarm_id: string;
  state: "raised" | "acknowledged" | "cleared";
  severity: Severity;
  camera: string | null;
  rule: string;
  kind: string;
  message: string;
  raised_at: string;
  acknowledged_at: string | null;
  acknowledged_by: string | null;
  cleared_at: string | null;
  has_picture: boolean;
}

export interface RunEvent {
  id: number;
  at: string;
  kind: string;
  camera: string | null;
  text: string;
  by: string | null;
}

export interface Device {
  device: string;
  name: string;
  utilization: number | null;
  in_parallel: number;
  batch_frames: number;
  batch_mean: number | null;
  inferences_per_s: number;
  service_ms: number | null;
  serving?: boolean;
  out_reason?: string | null;
  outages?: number;
  models_out?: ModelOut[];
  model_outages?: number;
  card_utilization?: number | null;
  memory_bytes?: number | null;
  memory_total_bytes?: number | null;
  temperature_celsius?: number | null;
  power_watts?: number | null;
}

/** A model, or one input size of it, that is out alone on a device. */
export interface ModelOut {
  model: string;
  variant: string;
  out_s: number;
  stands_in: boolean;
  last_error: string;
}

export interface Host {
  cpu_utilization: number | null;
  cpu_count: number;
  memory_used_bytes: number;
  memory_total_bytes: number;
  process_cpu_cores: number | null;
  process_rss_bytes: number;
}

export interface Plan {
  window_s: number;
  devices: Device[];
  host: Host;
  cameras: number;
  sampled_per_s: number;
  inferences_per_s: number;
  capacity_per_s: number | null;
  share_inferred: number | null;
  share_affordable: number | null;
  cameras_more: number | null;
  binding: "none" | "device" | "cpu" | "memory";
  explanation: string;
}

export interface Sink {
  sink: string;
  written: number;
  lost: number;
  error?: string;
  spool?: {waiting: number; waiting_bytes: number; delivered: number; dropped: number; retries: number; error?: string};
}

export interface Run {
  run: string;
  version: string;
  started_at: string;
  now: string;
  wall_s: number;
  policy: string;
  counts: Counts;
  fidelity: Fidelity | null;
  fidelity_target: {target: number; status: string; explanation: string} | null;
  sinks: Sink[];
  can_change: boolean;
  config_path: string | null;
}

export interface WhoAmI {
  name: string;
  role: Role;
  is_token_needed: boolean;
}

export interface Totals {
  rates?: Rates;
  p95_ms?: number | null;
  fidelity?: number | null;
  share_inferred?: number | null;
}

export type StreamMessage =
  | {type: "hello"; run: string; version: string; role: Role}
  | {type: "answer"; result: Result}
  | {type: "stats"; at: string; cameras: CameraStats[]; total: Totals; devices: Device[]; host: Host; dropped: number}
  | {type: "alarm"; alarm: Alarm}
  | {type: "event"; event: RunEvent}
  | {type: "error"; error: string; remedy?: string};

export interface ApiProblem {
  code: string;
  error: string;
  where: string;
  remedy: string;
  problems?: {error: string; where: string; remedy: string}[];
}
