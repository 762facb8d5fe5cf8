import {useEffect, useRef, useState} from "preact/hooks";
import type {Point} from "./api_types.ts";
import {free_name, least_points, move_point, move_shape, point_at, remove_point, split_edge, type Shape} from "./zone_model.ts";

interface Props {
  shapes: Shape[];
  /** Not given: only shown. */
  on_change?: (shapes: Shape[]) => void;
  selected: number | null;
  on_select: (index: number | null) => void;
  drawing: Shape["kind"] | null;
  on_drawn: () => void;
}

const STEP = 0.005;
const BIG_STEP = 0.05;
const ARROWS: Record<string, Point> = {ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1]};

function arrow(event: KeyboardEvent): Point | null {
  const way = ARROWS[event.key];
  if (!way) return null;
  event.preventDefault();
  const step = event.shiftKey ? BIG_STEP : STEP;
  return [way[0] * step, way[1] * step];
}

const as_text = (points: Point[]) => points.map((point) => point.join(",")).join(" ");
const place = ([x, y]: Point) => ({left: `${x * 100}%`, top: `${y * 100}%`});

/** Lies over the picture, which fills its parent exactly. Mouse, pen and finger place and drag corners; with the keyboard, Tab reaches each
 *  corner and arrows move it, and while drawing arrows move a cross, Space sets a corner and Enter closes the shape. */
export function ZoneEditor({shapes, on_change, selected, on_select, drawing, on_drawn}: Props) {
  const surface = useRef<HTMLDivElement>(null);
  const [draft, set_draft] = useState<Point[]>([]);
  const [cross, set_cross] = useState<Point>([0.5, 0.5]);
  useEffect(() => {
    set_draft([]);
    set_cross([0.5, 0.5]);
    if (drawing) surface.current?.focus();
  }, [drawing]);

  function at(event: PointerEvent): Point {
    const area = surface.current!.getBoundingClientRect();
    return point_at((event.clientX - area.left) / area.width, (event.clientY - area.top) / area.height);
  }

  function finish(points: Point[]) {
    if (!drawing || !on_change || points.length < least_points(drawing)) return;
    on_change([...shapes, {kind: drawing, name: free_name(shapes, drawing), points}]);
    on_select(shapes.length);
    set_draft([]);
    on_drawn();
  }

  function add(point: Point) {
    const first = draft[0];
    // On the first corner again: the shape is whole.
    if (first && draft.length >= 3 && Math.hypot(point[0] - first[0], point[1] - first[1]) < 0.02) return finish(draft);
    const points = [...draft, point];
    if (drawing === "line" && points.length === 2) finish(points);
    else set_draft(points);
  }

  function keys(event: KeyboardEvent) {
    if (!drawing) return;
    const way = arrow(event);
    if (way) set_cross(point_at(cross[0] + way[0], cross[1] + way[1]));
    else if (event.key === " ") add(cross);
    else if (event.key === "Enter") finish(draft);
    else if (event.key === "Backspace") set_draft(draft.slice(0, -1));
    else if (event.key === "Escape") on_drawn();
    else return;
    event.preventDefault();
  }

  /** Follows the pointer until it is let go; `move` gets where it is and how far it has come since the last time. */
  function drag(event: PointerEvent, move: (to: Point, by: Point) => void) {
    if (!on_change || drawing) return;
    event.preventDefault();
    event.stopPropagation();
    const target = event.currentTarget as Element;
    target.setPointerCapture(event.pointerId);
    let last = at(event);
    const on_move = (next: Event) => {
      const to = at(next as PointerEvent);
      move(to, [to[0] - last[0], to[1] - last[1]]);
      last = to;
    };
    const stop = () => {
      target.removeEventListener("pointermove", on_move);
      target.removeEventListener("pointerup", stop);
      target.removeEventListener("pointercancel", stop);
    };
    target.addEventListener("pointermove", on_move);
    target.addEventListener("pointerup", stop);
    target.addEventListener("pointercancel", stop);
  }

  const latest = useRef(shapes);
  latest.current = shapes;
  const change = (index: number, make: (shape: Shape) => Shape) => on_change?.(latest.current.map((shape, i) => (i === index ? make(shape) : shape)));
  const chosen = selected === null ? undefined : shapes[selected];

  return (
    <div ref={surface} class={`editor ${drawing ? "is-drawing" : ""}`} tabIndex={drawing ? 0 : -1} onKeyDown={keys}
      role={drawing ? "application" : undefined}
      aria-label={drawing ? `Drawing a ${drawing}: arrows move the cross, Space sets a corner, Enter closes, Escape cancels` : undefined}
      onPointerMove={(event) => { if (drawing && event.pointerType !== "touch") set_cross(at(event)); }}
      onPointerUp={(event) => {
        if (!drawing) return;
        set_cross(at(event));
        add(at(event));
      }}
      onPointerDown={() => { if (!drawing) on_select(null); }}>
      <svg viewBox="0 0 1 1" preserveAspectRatio="none" aria-hidden="true">
        {shapes.map((shape, i) => {
          const look = `shape ${shape.kind} ${i === selected ? "selected" : ""}`;
          const start = (event: PointerEvent) => {
            if (drawing) return;
            event.stopPropagation();
            on_select(i);
            drag(event, (_, by) => change(i, (old) => move_shape(old, by[0], by[1])));
          };
          return shape.kind === "line"
            ? <g key={i} class={look} onPointerDown={start}><polyline class="halo" points={as_text(shape.points)} /><polyline class="ink" points={as_text(shape.points)} /></g>
            : <g key={i} class={look} onPointerDown={start}><polygon class="halo" points={as_text(shape.points)} /><polygon class="ink" points={as_text(shape.points)} /></g>;
        })}
        {drawing && draft.length > 0 && <polyline class="draft" points={as_text([...draft, cross])} />}
      </svg>
      {shapes.map((shape, i) => <span key={i} class={`shape-name ${shape.kind}`} style={place(shape.points[0]!)}>{shape.name}</span>)}
      {drawing && draft.map((point, i) => <span key={i} class="corner" style={place(point)} />)}
      {drawing && <span class="cross" style={place(cross)} />}
      {on_change && !drawing && chosen && selected !== null && chosen.points.map((point, i) => (
        <button key={i} type="button" class="corner" style={place(point)} aria-label={`Corner ${i + 1} of ${chosen.name}; arrows move it, Delete removes it, Insert adds one after it`}
          onPointerDown={(event) => drag(event, (to) => change(selected, (old) => move_point(old, i, to)))}
          onKeyDown={(event) => {
            const way = arrow(event);
            if (way) change(selected, (old) => move_point(old, i, [point[0] + way[0], point[1] + way[1]]));
            else if (event.key === "Delete" || event.key === "Backspace") change(selected, (old) => remove_point(old, i));
            else if (event.key === "Insert" || event.key === "+") change(selected, (old) => split_edge(old, i));
          }} />
      ))}
      {on_change && !drawing && chosen && selected !== null && chosen.kind !== "line" && chosen.points.map((point, i) => {
        const next = chosen.points[(i + 1) % chosen.points.length]!;
        return <span key={"e" + i} class="edge" style={place([(point[0] + next[0]) / 2, (point[1] + next[1]) / 2])} title="New corner"
          onPointerDown={(event) => { event.stopPropagation(); change(selected, (old) => split_edge(old, i)); }} />;
      })}
    </div>
  );
}
