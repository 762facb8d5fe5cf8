import {useEffect, useMemo, useRef, useState} from "preact/hooks";
import type {CameraStats} from "./api_types.ts";
import {CameraForm} from "./camera_form.tsx";
import * as format from "./format.ts";
import {Picture, type BoxesOf} from "./picture.tsx";
import {go} from "./router.ts";
import {store, useTopics} from "./store.ts";
import {FILTERS, page_of, SORTS, wall_order, type Filter, type Sort} from "./wall_order.ts";
import {in_short, level_of, why} from "./why.ts";

const SIZES: [string, string, number][] = [["s", "Small", 190], ["m", "Medium", 300], ["l", "As large as fits", 250]];
/** More pictures than this on one page would each come too seldom. */
const PER_PAGE_MAX = 60;

function kept<T extends string>(key: string, usual: T): [T, (value: T) => void] {
  const [value, set] = useState<T>((sessionStorage.getItem("framemill." + key) as T | null) ?? usual);
  return [value, (next) => (sessionStorage.setItem("framemill." + key, next), set(next))];
}

const GAP = 6;
const CAPTION = 52;

/** Columns with which all of `count` tiles are seen as large as the window allows; no fewer than the chosen size asks for are used
 *  where the cameras do not fit anyway. */
export function columns_for(count: number, width: number, height: number, tile: number): number {
  const most = Math.max(1, Math.floor((width + GAP) / (tile + GAP)));
  for (let columns = 1; columns < most; ++columns) {
    const tile_width = (width - GAP * (columns - 1)) / columns;
    const rows = Math.ceil(count / columns);
    if (rows * ((tile_width * 9) / 16 + CAPTION + GAP) - GAP <= height) return columns;
  }
  return most;
}

/** How many tiles fill the window, so that a wall screen never scrolls; a phone scrolls through a fixed number. */
function tiles_that_fit(width: number, height: number, tile: number): {columns: number; count: number} {
  const columns = Math.max(1, Math.floor((width + GAP) / (tile + GAP)));
  const tile_width = (width - GAP * (columns - 1)) / columns;
  const rows = Math.max(1, Math.floor((height + GAP) / ((tile_width * 9) / 16 + CAPTION + GAP)));
  return {columns, count: Math.min(PER_PAGE_MAX, width < 640 ? 12 : columns * rows)};
}

export function Wall() {
  useTopics("stats", "who", "link");
  const [filter, set_filter] = kept<Filter>("filter", "all");
  const [sort, set_sort] = kept<Sort>("sort", "name");
  const [size, set_size] = kept<string>("size", "l");
  const [boxes, set_boxes] = kept<BoxesOf>("boxes", "picture");
  const [search, set_search] = kept<string>("search", "");
  const [page, set_page] = useState(0);
  const [is_adding, set_adding] = useState(false);
  const [room, set_room] = useState({columns: 1, count: 1, width: 0, height: 0});
  const grid = useRef<HTMLDivElement>(null);
  const search_field = useRef<HTMLInputElement>(null);

  const tile = SIZES.find(([key]) => key === size)?.[2] ?? 300;
  useEffect(() => {
    const measure = () => {
      const element = grid.current;
      if (!element) return;
      const top = element.getBoundingClientRect().top + scrollY;
      const width = element.clientWidth;
      const height = innerHeight - top - 12;
      const next = {...tiles_that_fit(width, height - 40, Math.min(tile, width)), width, height};
      set_room((old) => (JSON.stringify(old) === JSON.stringify(next) ? old : next));
    };
    measure();
    const sizes = new ResizeObserver(measure);
    sizes.observe(document.documentElement);
    return () => sizes.disconnect();
  }, [tile]);

  const all = wall_order(store.cameras.values(), filter, search, sort);
  const {page: at, pages, shown} = page_of(all, page, room.count);
  const columns = pages === 1 && size === "l" ? columns_for(Math.max(1, shown.length), room.width, room.height, tile) : room.columns;
  const ids = shown.map((camera) => camera.id).join(" ");
  useEffect(() => store.stream.subscribe(ids.split(" ").filter(Boolean), boxes === "off" ? 1 : 8), [ids, boxes]);
  useEffect(() => {
    const keys = (event: KeyboardEvent) => {
      if ((event.target as Element).closest("input, select, textarea, dialog")) return;
      if (event.key === "/") {
        event.preventDefault();
        search_field.current?.focus();
      } else if (event.key === "PageDown" && at < pages - 1) {
        event.preventDefault();
        set_page(at + 1);
      } else if (event.key === "PageUp" && at > 0) {
        event.preventDefault();
        set_page(at - 1);
      }
    };
    addEventListener("keydown", keys);
    return () => removeEventListener("keydown", keys);
  }, [at, pages]);

  const counts = useMemo(() => FILTERS.map(([key]) => wall_order(store.cameras.values(), key, "", "name").length), [store.cameras]);
  const none = store.cameras.size === 0
    ? store.stats_at ? "No cameras yet." : "Waiting for the first figures."
    : "No camera fits the filter.";
  return (
    <main class="wall">
      <div class="tools">
        <input ref={search_field} type="search" placeholder="Search cameras" aria-label="Search cameras (key /)" value={search}
          onInput={(event) => (set_search(event.currentTarget.value), set_page(0))} />
        <label>Show <select value={filter} onChange={(event) => (set_filter(event.currentTarget.value as Filter), set_page(0))}>
          {FILTERS.map(([key, title], i) => <option key={key} value={key}>{`${title} (${counts[i]})`}</option>)}
        </select></label>
        <label>Sort <select value={sort} onChange={(event) => set_sort(event.currentTarget.value as Sort)}>
          {SORTS.map(([key, title]) => <option key={key} value={key}>{title}</option>)}
        </select></label>
        <label>Tiles <select value={size} onChange={(event) => (set_size(event.currentTarget.value), set_page(0))}>
          {SIZES.map(([key, title]) => <option key={key} value={key}>{title}</option>)}
        </select></label>
        <label>Boxes <select value={boxes} onChange={(event) => set_boxes(event.currentTarget.value as BoxesOf)}>
          <option value="picture">of the picture</option>
          <option value="live">live</option>
          <option value="off">off</option>
        </select></label>
        <Legend />
        <span class="spring" />
        {store.may_change && <button type="button" class="main" onClick={() => set_adding(true)}>Add camera</button>}
      </div>
      <div ref={grid} class={`tiles size-${size}`} style={{gridTemplateColumns: `repeat(${columns}, minmax(0, 1fr))`}}>
        {shown.map((camera) => <Tile key={camera.id} camera={camera} boxes={boxes} tiles={shown.length} width={room.width / columns || tile} />)}
        {shown.length === 0 && <p class="empty">{none}</p>}
      </div>
      {pages > 1 && (
        <nav class="pages" aria-label="Pages of the wall">
          <button type="button" disabled={at === 0} onClick={() => set_page(at - 1)}>Previous</button>
          <span>{`Page ${at + 1} of ${pages}, ${all.length} cameras`}</span>
          <button type="button" disabled={at === pages - 1} onClick={() => set_page(at + 1)}>Next</button>
        </nav>
      )}
      {is_adding && <CameraForm on_close={() => set_adding(false)} on_done={(camera) => go(`/cameras/${camera.id}`)} />}
    </main>
  );
}

export function Legend() {
  return (
    <span class="legend" aria-label="Line of a box: where the answer came from">
      <span class="solid">inferred</span><span class="dashed">propagated</span><span class="dotted">reused</span>
    </span>
  );
}

function Tile({camera, boxes, tiles, width}: {camera: CameraStats; boxes: BoxesOf; tiles: number; width: number}) {
  const level = level_of(camera);
  const reasons = why(camera);
  const alarms = camera.alarms ?? 0;
  const has_picture = camera.state === "up" || camera.state === "frozen";
  return (
    <a class={`tile level-${level} ${alarms > 0 ? "alarm" : ""}`} href={`/cameras/${camera.id}`} data-camera={camera.id} data-state={camera.state}
      aria-label={[camera.id, camera.state, alarms && `${alarms} alarms`, reasons[0] && in_short(reasons[0], camera.state)].filter(Boolean).join(", ")}>
      <div class="view">
        {has_picture
          ? <Picture camera={camera.id} period_ms={Math.max(500, tiles * 80)} boxes={boxes} has_labels={width >= 300} width={width > 480 ? 960 : width > 300 ? 640 : 400} />
          : <div class="no-picture">{camera.state}</div>}
        {alarms > 0 && <span class="badge">{alarms === 1 ? "Alarm" : `${alarms} alarms`}</span>}
      </div>
      <div class="caption">
        <strong>{camera.id}</strong>
        {has_picture && <span class={`state state-${camera.state}`}>{camera.state}</span>}
        <span class="line">
          {(has_picture || reasons.length === 0) && (
            <span class="figures">
              <span title="Answers a second">{format.per_second(camera.rates.answered_per_s)}<small>/s</small></span>
              <span title="Latency, 95 % of answers are faster">{format.milliseconds(camera.p95_ms)}</span>
              <span title="Fidelity">{camera.fidelity == null ? <span class="unknown">f {format.UNKNOWN}</span> : <>f {format.fidelity(camera.fidelity)}</>}</span>
            </span>
          )}
          {reasons.length > 0 && <span class="why" title={reasons.map((one) => `${one.title}: ${one.text}`).join("\n")}>{in_short(reasons[0]!, camera.state)}</span>}
        </span>
      </div>
    </a>
  );
}
