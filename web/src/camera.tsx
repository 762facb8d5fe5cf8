import {useEffect, useState} from "preact/hooks";
import {ApiError, ask, camera_path} from "./api.ts";
import type {Camera, Fidelity, Rule, RunEvent} from "./api_types.ts";
import {CameraForm} from "./camera_form.tsx";
import {Chart, type Line} from "./chart.tsx";
import * as format from "./format.ts";
import {Picture, type BoxesOf} from "./picture.tsx";
import {go} from "./router.ts";
import {RuleForm} from "./rule_form.tsx";
import {store, useTopics} from "./store.ts";
import {Legend} from "./wall.tsx";
import {why} from "./why.ts";
import {ZoneEditor} from "./zone_editor.tsx";
import {change_for, from_settings, problems, type Shape} from "./zone_model.ts";

const RATE_LINES: Line[] = [
  {column: "inferred", title: "inferred", shade: 0},
  {column: "carried", title: "carried", shade: 1, dash: [4, 3]},
  {column: "lost", title: "lost", shade: 2, dash: [2, 2]},
];
const LATENCY_LINES: Line[] = [{column: "p95", title: "p95", shade: 0}];
const NEED_LINES: Line[] = [{column: "need", title: "need", shade: 0}];
const SHARE_LINES: Line[] = [{column: "share", title: "inferred", shade: 0}];
/** What the number means, in the words of the glossary and ADR 6. */
const NEED_WORDS = "What an inference is expected to be worth: boxes that are wrong without it, times their age in frames. The highest of all cameras go first.";
const FIDELITY_LINES: Line[] = [{column: "fidelity", title: "fidelity", shade: 0}];

const OUTCOMES: [keyof Camera["counts"], string][] = [
  ["captured", "Captured"], ["sampled_out", "Sampled out"], ["inferred", "Inferred"], ["propagated", "Propagated"], ["reused", "Reused"],
  ["superseded", "Superseded"], ["late", "Late"], ["failed", "Failed"], ["in_flight", "In flight"], ["overdue", "Answered too late"],
];
const FAULTS = new Set(["superseded", "late", "failed", "overdue"]);

export function CameraView({id}: {id: string}) {
  useTopics("stats", "who", "link", "alarms", "events");
  const [camera, set_camera] = useState<Camera | null>(null);
  const [is_missing, set_missing] = useState(false);
  const [load_problem, set_load_problem] = useState("");
  const [problem, set_problem] = useState("");
  const [is_form_open, set_form_open] = useState(false);
  const [boxes, set_boxes] = useState<BoxesOf>("picture");
  const [before, set_before] = useState<Shape[]>([]);
  const [shapes, set_shapes] = useState<Shape[] | null>(null);
  const [rules, set_rules] = useState<Rule[] | null>(null);
  const [selected, set_selected] = useState<number | null>(null);
  const [drawing, set_drawing] = useState<Shape["kind"] | null>(null);
  const [said, set_said] = useState("");
  const [events, set_events] = useState<RunEvent[]>([]);
  const is_live = store.link.is_live;

  useEffect(() => store.stream.subscribe([id], 30), [id]);
  useEffect(() => {
    if (!is_live && camera) return;
    const load = () => ask<Camera>(camera_path(id)).then(
      (next) => (set_camera(next), set_missing(false), set_load_problem("")),
      (error: Error) => (set_missing(error instanceof ApiError && error.status === 404), set_load_problem(error.message)));
    void load();
    const timer = setInterval(() => void load(), 2000);
    return () => clearInterval(timer);
  }, [id, is_live]);
  useEffect(() => {
    ask<{events: RunEvent[]}>(`/api/v1/events?camera=${encodeURIComponent(id)}&limit=8`).then((page) => set_events(page.events), () => undefined);
  }, [id, store.events[0]?.id, is_live]);

  const stats = store.cameras.get(id) ?? camera?.stats;
  if (is_missing || !camera || !stats) {
    return <main class="empty"><p>{is_missing ? `There is no camera ${id}.` : load_problem || "Loading."}</p><p><a href="/">To the cameras</a></p></main>;
  }
  const drawn = camera.settings ? from_settings(camera.settings) : [];
  const shown = shapes ?? drawn;
  const shown_rules = rules ?? camera.settings?.rules ?? [];
  const is_editing = shapes !== null;
  const wrong = is_editing ? problems(shown) : [];
  const reasons = why(stats);
  const alarms = store.open_alarms().filter((alarm) => alarm.camera === id);

  function edit() {
    set_before(drawn);
    set_shapes(drawn);
    set_rules(camera!.settings?.rules ?? []);
    set_said("");
  }
  function stop_editing() {
    set_shapes(null);
    set_rules(null);
    set_selected(null);
    set_drawing(null);
    set_problem("");
  }
  async function save() {
    const body = change_for(before, shown);
    const old_rules = camera!.settings?.rules ?? [];
    if (JSON.stringify(old_rules) !== JSON.stringify(shown_rules)) body["rules"] = shown_rules.length ? shown_rules : null;
    if (Object.keys(body).length === 0) return stop_editing();
    try {
      set_camera(await ask<Camera>(camera_path(id), {method: "PATCH", body}));
      set_said("Saved.");
      set_problem("");
      stop_editing();
    } catch (error) {
      set_said("");
      set_problem((error as Error).message);
    }
  }
  async function command(name: "pause" | "resume" | "restart") {
    try {
      set_camera(await ask<Camera>(camera_path(id, "/" + name), {method: "POST"}));
      set_problem("");
    } catch (error) {
      set_problem((error as Error).message);
    }
  }
  async function remove() {
    if (!confirm(`Remove ${id} from the run? Its counts stay in the summary.`)) return;
    try {
      await ask(camera_path(id), {method: "DELETE"});
      go("/");
    } catch (error) {
      set_problem((error as Error).message);
    }
  }
  const history = () => store.histories.get(id);
  const rate = camera.settings?.every ? format.each_nth(camera.settings.every) : camera.settings?.rate ? `${camera.settings.rate}/s` : format.UNKNOWN;
  const size = camera.source.width > 0 ? `${camera.source.width} / ${camera.source.height}` : "16 / 9";

  return (
    <main class="camera-page">
      <div class="tools">
        <h1>{id}</h1>
        <span class={`state state-${stats.state}`} data-testid="state">{stats.state}</span>
        <span class="dim">{`${camera.source.codec ? `${camera.source.codec} ${camera.source.width}\u00d7${camera.source.height} at ${camera.source.frame_rate_hz.toFixed(0)}/s, ` : ""}${camera.priority}, ${camera.policy}, ${camera.rung || camera.model}`}</span>
        <span class="spring" />
        {store.may_operate && (stats.state === "paused"
          ? <button type="button" onClick={() => void command("resume")}>Resume</button>
          : <button type="button" onClick={() => void command("pause")}>Pause</button>)}
        {store.may_operate && <button type="button" onClick={() => void command("restart")}>Restart</button>}
        {store.may_change && camera.settings && <button type="button" onClick={() => set_form_open(true)}>Edit settings</button>}
        {store.may_change && <button type="button" class="danger" onClick={() => void remove()}>Remove</button>}
      </div>
      {(problem || load_problem) && <p class="problem" role="alert">{problem || load_problem}</p>}
      {alarms.map((alarm) => <p key={alarm.alarm_id} class={`note ${alarm.severity}`}><b>{`Alarm: ${alarm.message}`}</b><span>{` since ${format.moment(alarm.raised_at)}, ${alarm.state}. `}</span><a href="/alarms">To the alarms</a></p>)}
      {reasons.map((one) => <p key={one.title} class={`note ${one.level === 2 ? "critical" : one.level === 1 ? "warning" : ""}`}><b>{one.title}.</b>{` ${one.text} `}<span class="dim">{one.remedy}</span></p>)}
      <div class="camera-columns">
        <div>
          <div class="stage" style={{aspectRatio: size}}>
            {stats.state === "up" || stats.state === "frozen"
              ? <Picture camera={id} period_ms={200} boxes={boxes} has_labels width={1280} />
              : <div class="no-picture">{stats.state}</div>}
            <ZoneEditor shapes={shown} selected={selected} on_select={is_editing ? set_selected : () => undefined} drawing={drawing} on_drawn={() => set_drawing(null)}
              {...(is_editing ? {on_change: (next: Shape[]) => set_shapes(next)} : {})} />
          </div>
          <div class="tools under">
            <label>Boxes <select value={boxes} onChange={(event) => set_boxes(event.currentTarget.value as BoxesOf)}>
              <option value="picture">of the picture</option><option value="live">live</option><option value="off">off</option>
            </select></label>
            <Legend />
            <span class="spring" />
            {!is_editing && store.may_change && camera.settings && <button type="button" onClick={edit}>Edit zones and rules</button>}
            <span role="status" class="dim">{said}</span>
          </div>
          {is_editing && (
            <section class="card edit">
              <div class="tools">
                <button type="button" aria-pressed={drawing === "zone"} onClick={() => set_drawing(drawing === "zone" ? null : "zone")}>Draw zone</button>
                <button type="button" aria-pressed={drawing === "line"} onClick={() => set_drawing(drawing === "line" ? null : "line")}>Draw line</button>
                <button type="button" aria-pressed={drawing === "mask"} onClick={() => set_drawing(drawing === "mask" ? null : "mask")}>Draw mask</button>
                <span class="spring" />
                <button type="button" onClick={stop_editing}>Cancel</button>
                <button type="button" class="main" disabled={wrong.length > 0 || drawing !== null} onClick={() => void save()}>Save</button>
              </div>
              <p class="hint">{drawing
                ? drawing === "line" ? "Set the two ends. Looking from the first to the second, forward is from left to right. Escape cancels." : "Set the corners; the first corner again, or Enter, closes. Backspace takes one back, Escape cancels. By keyboard: arrows move the cross, Space sets a corner."
                : "Choose a shape to drag its corners. What lies in a mask is not answered. Saving starts the camera anew; others go on."}</p>
              <ul class="shapes">
                {shown.map((shape, i) => (
                  <li key={i} class={i === selected ? "selected" : ""}>
                    <button type="button" aria-pressed={i === selected} onClick={() => set_selected(i === selected ? null : i)}>{shape.kind}</button>
                    {shape.kind === "mask" ? <span>{shape.name}</span> : <input aria-label={`Name of the ${shape.kind}`} value={shape.name} maxLength={64}
                      onInput={(event) => set_shapes(shown.map((one, j) => (j === i ? {...one, name: event.currentTarget.value} : one)))} />}
                    <span class="dim">{`${shape.points.length} points`}</span>
                    <button type="button" onClick={() => { set_shapes(shown.filter((_, j) => j !== i)); set_selected(null); }} aria-label={`Remove ${shape.name}`}>Remove</button>
                  </li>
                ))}
              </ul>
              {wrong.map((text) => <p key={text} class="problem">{text}</p>)}
              <h2>Rules</h2>
              <RuleForm rules={shown_rules} shapes={shown} on_change={set_rules} />
            </section>
          )}
          {!is_editing && shown_rules.length > 0 && <section class="card"><h2>Rules</h2><RuleForm rules={shown_rules} shapes={shown} /></section>}
          <section class="card">
            <h2>Events</h2>
            <table class="plain"><tbody>{events.map((event) => <tr key={event.id}><th scope="row">{format.moment(event.at)}</th><td>{event.text}{event.by && <span class="dim">{` by ${event.by}`}</span>}</td></tr>)}</tbody></table>
            {events.length === 0 && <p class="dim">None yet.</p>}
          </section>
        </div>
        <div>
          <dl class="numbers">
            <div><dt>Answers</dt><dd>{format.per_second(stats.rates.answered_per_s)}<small>/s</small></dd><dd class="dim">{`of ${rate}`}</dd></div>
            <div><dt>p95</dt><dd>{format.milliseconds(stats.p95_ms)}</dd><dd class="dim">{`of ${format.milliseconds(camera.slo_ms)}`}</dd></div>
            <div><dt>Fidelity</dt><dd>{format.fidelity(stats.fidelity)}</dd><dd class="dim">{fidelity_words(camera.fidelity)}</dd></div>
            <div><dt>Inferred</dt><dd>{format.percent(stats.share_inferred)}</dd><dd class="dim">{stats.need != null && <abbr title={NEED_WORDS}>{`need ${format.need(stats.need)}`}</abbr>}</dd></div>
          </dl>
          <Chart title="Answers a second" history={history} lines={RATE_LINES} format={format.per_second} />
          <Chart title="Latency" history={history} lines={LATENCY_LINES} format={format.milliseconds} limit={camera.slo_ms} to={50} />
          <Chart title="Fidelity" history={history} lines={FIDELITY_LINES} format={format.fidelity} from={0.8} />
          <Chart title="Share inferred" history={history} lines={SHARE_LINES} format={(value) => format.percent(value)} />
          {camera.policy === "adaptive" && <Chart title="Need" hint={NEED_WORDS} history={history} lines={NEED_LINES} format={format.need} />}
          <section class="card">
            <h2>Outcomes since the start</h2>
            <dl class="facts">{OUTCOMES.map(([key, title]) => [<dt key={key}>{title}</dt>, <dd class={FAULTS.has(key) && camera.counts[key] > 0 ? "fault" : ""}>{format.count(camera.counts[key])}</dd>])}</dl>
          </section>
          <section class="card">
            <h2>Source</h2>
            <dl class="facts">
              <dt>Address</dt><dd class="text">{camera.settings?.url ?? format.UNKNOWN}</dd>
              <dt>Reconnects</dt><dd>{format.count(camera.source.reconnects)}</dd>
              <dt>Decode errors</dt><dd>{format.count(camera.source.decode_errors)}</dd>
              {camera.last_error && <><dt>Last error</dt><dd class="text">{camera.last_error}</dd></>}
            </dl>
          </section>
        </div>
      </div>
      {is_form_open && store.may_change && <CameraForm camera={camera} on_close={() => set_form_open(false)} on_done={(next) => {
        set_camera(next);
        set_form_open(false);
        set_said("Saved.");
        set_problem("");
      }} />}
    </main>
  );
}

/** "0.981 to 0.993, 212 audits, of its group"; why not, where it is not known. */
function fidelity_words(fidelity: Fidelity | null): string {
  if (fidelity?.low == null) return fidelity?.reason ?? "";
  return `${format.fidelity(fidelity.low)} to ${format.fidelity(fidelity.high)}, ${format.count(fidelity.audits)} ${fidelity.audits === 1 ? "audit" : "audits"}${fidelity.of_group ? " of its group" : ""}`;
}
