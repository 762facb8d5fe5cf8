import {useEffect, useRef} from "preact/hooks";
import uPlot from "uplot";
import "uplot/dist/uPlot.min.css";
import {clock_time} from "./format.ts";
import type {History} from "./history.ts";
import {store} from "./store.ts";

export interface Line {
  column: string;
  title: string;
  /** Lines differ by shade and dash, so that no chart needs colours to be read. */
  shade: 0 | 1 | 2;
  dash?: number[];
  fill?: boolean;
}

interface Props {
  title: string;
  /** A sentence below the title, where the word does not explain itself. */
  hint?: string;
  history: () => History | undefined;
  lines: Line[];
  format: (value: number | null | undefined) => string;
  /** What the axis shows at least; it reaches further where a value lies beyond. */
  from?: number;
  to?: number;
  limit?: number;
}

const HEIGHT = 150;
/** A new page shows a minute, and more as time goes by. */
const WINDOWS_S = [60, 120, 300, 600];

function time_range(min: number | null, max: number | null): [number, number] {
  const to = max ?? Date.now() / 1000;
  const have = to - (min ?? to);
  return [to - (WINDOWS_S.find((window) => window >= have) ?? WINDOWS_S.at(-1)!), to];
}

function time_text(at_s: number, has_seconds: boolean): string {
  const text = clock_time(at_s * 1000);
  return has_seconds ? text : text.slice(0, 5);
}

function colours(element: Element) {
  const style = getComputedStyle(element);
  const of = (name: string) => style.getPropertyValue(name).trim();
  return {shades: [of("--chart-0"), of("--chart-1"), of("--chart-2")] as const, grid: of("--rule"), text: of("--dim"), limit: of("--warning")};
}

export function Chart({title, hint, history, lines, format, from = 0, to = 1, limit}: Props) {
  const holder = useRef<HTMLDivElement>(null);
  const values = useRef<HTMLSpanElement>(null);
  useEffect(() => {
    const element = holder.current!;
    let plot: uPlot | null = null;
    const data = (): uPlot.AlignedData => {
      const now = history();
      const at = now?.at ?? [];
      const columns = lines.map((line) => now?.columns[line.column] ?? []);
      return [at, ...columns, ...(limit == null ? [] : [at.map(() => limit)])] as unknown as uPlot.AlignedData;
    };
    const build = () => {
      plot?.destroy();
      const colour = colours(element);
      const axis = {stroke: colour.text, grid: {stroke: colour.grid, width: 1}, ticks: {show: false}, font: "11px system-ui, sans-serif"};
      plot = new uPlot({
        width: Math.max(120, element.clientWidth), height: HEIGHT, legend: {show: false}, padding: [6, 22, 0, 0],
        cursor: {drag: {x: false, y: false}, points: {show: false}, sync: {key: "framemill"}},
        scales: {
          x: {range: (_, min, max) => time_range(min, max)},
          y: {range: (_, min, max) => [(min ?? from) < from ? Math.floor(min * 10) / 10 : from, (max ?? 0) > to ? max * 1.08 : to]},
        },
        axes: [
          {...axis, size: 22, space: 70, values: (_, splits, __, ___, step) => splits.map((at) => time_text(at, step < 60))},
          {...axis, size: 46, space: 34, values: (_, splits) => splits.map((value) => format(value).replace(/ (ms|%)$/, ""))},
        ],
        series: [
          {},
          ...lines.map((line): uPlot.Series => ({
            stroke: colour.shades[line.shade], width: 1.5, ...(line.dash ? {dash: line.dash} : {}), points: {show: false},
            ...(line.fill ? {fill: colour.shades[line.shade] + "22"} : {}),
          })),
          ...(limit == null ? [] : [{stroke: colour.limit, width: 1, dash: [6, 4], points: {show: false}} as uPlot.Series]),
        ],
      }, data(), element);
    };
    const show = () => {
      plot?.setData(data());
      const now = history();
      values.current?.querySelectorAll("b").forEach((number, i) => (number.textContent = format(now?.columns[lines[i]!.column]?.at(-1))));
    };
    build();
    show();
    const sizes = new ResizeObserver(() => plot?.setSize({width: Math.max(120, element.clientWidth), height: HEIGHT}));
    sizes.observe(element);
    const end = store.listen("stats", show);
    const system = matchMedia("(prefers-color-scheme: dark)");
    addEventListener("framemill-theme", build);
    system.addEventListener("change", build);
    return () => {
      end();
      sizes.disconnect();
      removeEventListener("framemill-theme", build);
      system.removeEventListener("change", build);
      plot?.destroy();
    };
  }, [lines, limit]);
  return (
    <figure class="chart">
      <figcaption>
        <b>{title}</b>
        <span ref={values} class="now">
          {lines.map((line) => <span key={line.column} class={`key shade-${line.shade} ${line.dash ? "dash" : ""}`}>{line.title} <b /></span>)}
        </span>
      </figcaption>
      {hint && <p class="hint">{hint}</p>}
      <div ref={holder} />
    </figure>
  );
}
