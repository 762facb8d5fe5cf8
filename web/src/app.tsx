import {useEffect, useState} from "preact/hooks";
import {AlarmsPage} from "./alarms.tsx";
import {CameraView} from "./camera.tsx";
import {Fleet} from "./fleet.tsx";
import * as format from "./format.ts";
import {follow_links, page_at, usePath} from "./router.ts";
import {store, useTopics} from "./store.ts";
import {read_theme, set_theme, type Theme} from "./theme.ts";
import {TokenPrompt} from "./token_prompt.tsx";
import {Unsaved} from "./unsaved.tsx";
import {Wall} from "./wall.tsx";

export function App() {
  useTopics("link", "who");
  const path = usePath();
  const page = page_at(path);
  const [is_asked, set_asked] = useState(false);
  useEffect(() => {
    document.title = {wall: "Cameras", camera: page.name === "camera" ? page.id : "", alarms: "Alarms", fleet: "Fleet", unknown: "Not found"}[page.name] + " \u2013 framemill";
  }, [path]);
  const needs_token = store.who?.is_token_needed && store.role === "none";
  return (
    <div class={`app ${store.link.is_live ? "" : "is-stale"}`} onClick={follow_links}>
      <a class="skip" href="#content">Skip to content</a>
      <TopBar page={page.name} ask_token={() => set_asked(true)} />
      <Disconnected />
      <Unsaved />
      <div id="content" tabIndex={-1}>
        {needs_token ? null
          : page.name === "wall" ? <Wall />
          : page.name === "camera" ? <CameraView key={page.id} id={page.id} />
          : page.name === "alarms" ? <AlarmsPage />
          : page.name === "fleet" ? <Fleet />
          : <main class="empty"><p>There is no such page. <a href="/">To the cameras</a></p></main>}
      </div>
      {(needs_token || is_asked) && <TokenPrompt {...(needs_token ? {} : {on_close: () => set_asked(false)})} />}
    </div>
  );
}

function Now() {
  const [now, set_now] = useState(Date.now());
  useEffect(() => {
    const timer = setInterval(() => set_now(Date.now()), 1000);
    return () => clearInterval(timer);
  }, []);
  return <time class="clock">{format.clock_time(now)}</time>;
}

function TopBar({page, ask_token}: {page: string; ask_token: () => void}) {
  useTopics("stats", "alarms", "link", "who");
  const [theme, choose_theme] = useState<Theme>(read_theme());
  const open = store.open_alarms();
  const raised = open.filter((alarm) => alarm.state === "raised");
  const worst = raised.some((alarm) => alarm.severity === "critical") ? "critical" : raised.length ? "warning" : "";
  const up = [...store.cameras.values()].filter((camera) => camera.state === "up").length;
  const link = (name: string, path: string, title: string, extra?: preact.ComponentChildren) =>
    <a href={path} aria-current={page === name ? "page" : undefined}>{title}{extra}</a>;
  const next: Record<Theme, Theme> = {system: "light", light: "dark", dark: "system"};
  return (
    <header class="bar">
      <span class="name">framemill</span>
      <nav aria-label="Pages">
        {link("wall", "/", "Cameras")}
        {link("alarms", "/alarms", "Alarms", raised.length > 0 && <b class={`number ${worst}`}>{raised.length}</b>)}
        {link("fleet", "/fleet", "Fleet")}
      </nav>
      <dl class="totals">
        <div><dt>up</dt><dd>{store.cameras.size ? `${up}/${store.cameras.size}` : format.UNKNOWN}</dd></div>
        <div><dt>answers/s</dt><dd>{format.per_second(store.total.rates?.answered_per_s)}</dd></div>
        <div><dt>p95</dt><dd>{format.milliseconds(store.total.p95_ms)}</dd></div>
        <div><dt>fidelity</dt><dd>{format.fidelity(store.total.fidelity)}</dd></div>
      </dl>
      <span class="spring" />
      <span class={`link ${store.link.is_live ? "" : "lost"}`} role="status">{store.link.is_live ? "Live" : "Disconnected"}</span>
      {store.who?.is_token_needed && <button type="button" class="quiet" onClick={ask_token} title="Use another token">{store.role}</button>}
      <button type="button" class="quiet theme" onClick={() => { set_theme(next[theme]); choose_theme(next[theme]); }} aria-label={`Colours: ${theme}`}
        title="Colours: of the system, light, dark">{theme === "system" ? "Auto" : theme === "light" ? "Light" : "Dark"}</button>
      <Now />
    </header>
  );
}

/** Says that what is on the page is old, how old, and what is being done about it. */
function Disconnected() {
  useTopics("link", "stats");
  const [now, set_now] = useState(Date.now());
  const is_lost = !store.link.is_live && (store.link.lost_at < now - 1500 || store.stats_at !== null);
  useEffect(() => {
    const timer = setInterval(() => set_now(Date.now()), 500);
    return () => clearInterval(timer);
  }, []);
  if (!is_lost || store.role === "none" && store.who) return null;
  const left = store.link.next_try_at === null ? 0 : Math.ceil((store.link.next_try_at - now) / 1000);
  return (
    <div class="disconnected" role="alert">
      <strong>{`Disconnected since ${format.clock_time(store.link.lost_at)}`}</strong>
      <span>{` (${format.duration(now - store.link.lost_at)}). ${store.stats_at ? "What is shown is old." : ""} ${left > 0 ? `Next try in ${left} s.` : "Trying to connect."}`}</span>
      <button type="button" onClick={() => store.stream.retry_now()}>Try now</button>
    </div>
  );
}
