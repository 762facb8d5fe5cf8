import {useEffect, useState} from "preact/hooks";
import {ask} from "./api.ts";
import type {Device, Plan, Run, Sink} from "./api_types.ts";
import {Chart, type Line} from "./chart.tsx";
import * as format from "./format.ts";
import {store, useTopics} from "./store.ts";
import {level_of, why, why_out} from "./why.ts";

const USE_LINES: Line[] = [
  {column: "utilization", title: "device", shade: 0},
  {column: "cpu", title: "CPU", shade: 2, dash: [4, 3]},
];
const RATE_LINES: Line[] = [
  {column: "answered", title: "answered", shade: 0},
  {column: "inferred", title: "inferred", shade: 1},
  {column: "lost", title: "lost", shade: 2, dash: [4, 3]},
];
const LATENCY_LINES: Line[] = [{column: "p95", title: "p95", shade: 0}];
const FIDELITY_LINES: Line[] = [{column: "fidelity", title: "fidelity", shade: 0}];

/** Above this the device is at its limit, and the bar says so. */
const BUSY = 0.9;

function usePolled<T>(path: string, period_ms: number): T | null {
  useTopics("link");
  const [value, set_value] = useState<T | null>(null);
  const is_live = store.link.is_live;
  useEffect(() => {
    if (!is_live) return;
    const load = () => void ask<T>(path).then(set_value, () => undefined);
    load();
    const timer = setInterval(load, period_ms);
    return () => clearInterval(timer);
  }, [path, period_ms, is_live]);
  return value;
}

export function Bar({share, title, limit = BUSY, text}: {share: number | null | undefined; title: string; limit?: number; text?: string}) {
  return (
    <div class="meter-row">
      <span>{title}</span>
      <span class={`meter ${(share ?? 0) >= limit ? "over" : ""}`} role="meter" aria-label={title} aria-valuemin={0} aria-valuemax={100}
        aria-valuenow={Math.round(100 * (share ?? 0))}><i style={{width: `${Math.min(100, 100 * (share ?? 0))}%`}} /></span>
      <b>{text ?? format.percent(share)}</b>
    </div>
  );
}

export function Fleet() {
  useTopics("stats", "events");
  const plan = usePolled<Plan>("/api/v1/plan", 2000);
  const run = usePolled<Run>("/api/v1/run", 5000);
  useEffect(() => store.stream.subscribe([], 1), []);
  const host = store.host;
  const troubled = [...store.cameras.values()].filter((camera) => level_of(camera) > 0);
  const total = () => store.total_history;
  return (
    <main class="fleet">
      <div class="tools"><h1>Fleet</h1>{run && <span class="dim">{`Run since ${format.moment(run.started_at)}, ${format.duration(run.wall_s * 1000)}, policy ${run.policy}, version ${run.version}`}</span>}</div>
      <div class="cards">
        <section class="card headroom">
          <h2>Headroom</h2>
          <p class="big">{plan?.cameras_more == null ? format.UNKNOWN : plan.cameras_more}<small>{` more ${plan?.cameras_more === 1 ? "camera" : "cameras"} like these`}</small></p>
          <p>{plan?.explanation}</p>
          <dl class="facts">
            <dt>What runs out first</dt><dd>{plan?.binding === "none" || !plan ? format.UNKNOWN : plan.binding}</dd>
            <dt>Capacity</dt><dd>{`${format.per_second(plan?.capacity_per_s)} inferences/s`}</dd>
            <dt>Asked for</dt><dd>{`${format.per_second(plan?.sampled_per_s)} frames/s`}</dd>
            <dt>Inferred</dt><dd>{format.percent(plan?.share_inferred)}</dd>
            <dt>Affordable</dt><dd>{format.percent(plan?.share_affordable)}</dd>
          </dl>
        </section>
        {store.devices.map((device) => <DeviceCard key={device.device} device={device} />)}
        {host && (
          <section class="card">
            <h2>Host</h2>
            <Bar title={`CPU, ${host.cpu_count} cores`} share={host.cpu_utilization} limit={0.95} />
            <Bar title="Memory" share={host.memory_used_bytes / host.memory_total_bytes} limit={0.85}
              text={`${format.bytes(host.memory_used_bytes)} of ${format.bytes(host.memory_total_bytes)}`} />
            <dl class="facts">
              <dt>framemill: processor</dt><dd>{host.process_cpu_cores == null ? format.UNKNOWN : `${host.process_cpu_cores.toFixed(2)} cores`}</dd>
              <dt>framemill: memory</dt><dd>{format.bytes(host.process_rss_bytes)}</dd>
            </dl>
          </section>
        )}
        <section class="card">
          <h2>Fidelity</h2>
          <p class="big">{format.fidelity(run?.fidelity?.value)}</p>
          <p>{run?.fidelity_target?.explanation ?? (run?.fidelity?.value == null ? run?.fidelity?.reason ?? "Known with policy adaptive only." : "No target is set.")}</p>
          <dl class="facts">
            <dt>Interval</dt><dd>{run?.fidelity?.low == null ? format.UNKNOWN : `${format.fidelity(run.fidelity.low)} to ${format.fidelity(run.fidelity.high)}`}</dd>
            <dt>Audits</dt><dd>{format.count(run?.fidelity?.audits)}</dd>
            <dt>Target</dt><dd>{run?.fidelity_target ? `${format.fidelity(run.fidelity_target.target)}, ${run.fidelity_target.status.replaceAll("_", " ")}` : format.UNKNOWN}</dd>
          </dl>
        </section>
      </div>
      <div class="charts">
        <Chart title="Use" history={total} lines={USE_LINES} format={(value) => format.percent(value)} limit={BUSY} />
        <Chart title="Answers a second" history={total} lines={RATE_LINES} format={format.per_second} />
        <Chart title="Latency" history={total} lines={LATENCY_LINES} format={format.milliseconds} to={50} />
        <Chart title="Fidelity" history={total} lines={FIDELITY_LINES} format={format.fidelity} from={0.8} />
      </div>
      <section class="card wide">
        <h2>{`Cameras that are not as they should be (${troubled.length})`}</h2>
        {troubled.length === 0 && <p class="dim">None.</p>}
        <table class="plain"><tbody>
          {troubled.slice(0, 100).map((camera) => why(camera).filter((one) => one.level > 0).map((one, i) => (
            <tr key={camera.id + i}>
              <th scope="row">{i === 0 && <a href={`/cameras/${camera.id}`}>{camera.id}</a>}</th>
              <td><span class={`severity ${one.level === 2 ? "critical" : "warning"}`}>{one.title}</span></td>
              <td>{one.text}<span class="dim">{one.remedy && ` ${one.remedy}`}</span></td>
            </tr>
          )))}
        </tbody></table>
      </section>
      {run && run.sinks.length > 0 && (
        <section class="card wide">
          <h2>Sinks</h2>
          <table class="plain"><tbody>
            {run.sinks.map((sink) => <tr key={sink.sink}><th scope="row">{sink.sink}</th><td>{told(sink)}</td>
              <td>{missed(sink) > 0 ? <span class="severity critical">{`${format.count(missed(sink))} lost`}</span> : "none lost"}</td>
              <td>{(sink.error || sink.spool?.error) && <span class="severity warning">fails</span>} {sink.error ?? sink.spool?.error}</td></tr>)}
          </tbody></table>
        </section>
      )}
    </main>
  );
}

/** What its file has, or its peer took; what is in the spool only has reached nobody. */
function told({written, spool}: Sink): string {
  return spool ? `${format.count(spool.delivered)} delivered, ${format.count(spool.waiting)} waiting on disk` : `${format.count(written)} written`;
}

function missed({lost, spool}: Sink): number {
  return lost + (spool?.dropped ?? 0);
}

const OUT_REASONS: Record<string, string> = {
  errors: "batches fail on it", hung: "a batch has not come back from it", gone: "it says that it is gone",
};

function DeviceCard({device}: {device: Device}) {
  return (
    <section class="card">
      <h2>{device.device}<span class="dim">{device.name}</span></h2>
      {device.serving === false &&
        <p class="severity critical">{`Out: ${OUT_REASONS[device.out_reason ?? ""] ?? "it fails"}. It is tried again by itself.`}</p>}
      {device.models_out?.map((out) => {
        const {level, title, text} = why_out(out);
        return <p key={`${out.model} ${out.variant}`} class="model-out"><span class={`severity ${level === 2 ? "critical" : "warning"}`}>{title}</span> {text}</p>;
      })}
      <Bar title="In use" share={device.utilization} />
      {device.card_utilization != null && <Bar title="Card, all programs" share={device.card_utilization} />}
      {device.memory_bytes != null && device.memory_total_bytes != null &&
        <Bar title="Memory" share={device.memory_bytes / device.memory_total_bytes} text={`${format.bytes(device.memory_bytes)} of ${format.bytes(device.memory_total_bytes)}`} />}
      <dl class="facts">
        <dt>Batch</dt><dd>{`${device.batch_mean == null ? format.UNKNOWN : device.batch_mean.toFixed(1)} of ${device.batch_frames}`}</dd>
        <dt>In parallel</dt><dd>{device.in_parallel}</dd>
        <dt>Inferences</dt><dd>{`${format.per_second(device.inferences_per_s)}/s`}</dd>
        <dt>An inference</dt><dd>{device.service_ms == null ? format.UNKNOWN : `${device.service_ms.toFixed(1)} ms`}</dd>
        {device.temperature_celsius != null && <><dt>Temperature</dt><dd>{`${device.temperature_celsius.toFixed(0)} \u00b0C`}</dd></>}
        {device.power_watts != null && <><dt>Power</dt><dd>{`${device.power_watts.toFixed(0)} W`}</dd></>}
      </dl>
    </section>
  );
}
