import type {CameraSettings, Point} from "./api_types.ts";

/** What is drawn on a camera's picture: an area for rules, a line for rules, or an area whose detections are left out. Points lie in 0..1
 *  of width and height. All functions are pure: they return new values. */
export interface Shape {
  kind: "zone" | "line" | "mask";
  /** Masks have no name in the configuration; here they are numbered. */
  name: string;
  points: Point[];
}

const clamp = (value: number) => Math.min(1, Math.max(0, value));
/** Four decimals are a tenth of a pixel on a wide picture, and keep the configuration readable. */
const round = (value: number) => Math.round(clamp(value) * 10_000) / 10_000;

export function point_at(x: number, y: number): Point {
  return [round(x), round(y)];
}

export function least_points(kind: Shape["kind"]): number {
  return kind === "line" ? 2 : 3;
}

export function move_point(shape: Shape, index: number, to: Point): Shape {
  return {...shape, points: shape.points.map((point, i) => (i === index ? point_at(to[0], to[1]) : point))};
}

/** All by the same way, and no further than the border allows, so that the form stays. */
export function move_shape(shape: Shape, dx: number, dy: number): Shape {
  const xs = shape.points.map((point) => point[0]);
  const ys = shape.points.map((point) => point[1]);
  const x = Math.min(1 - Math.max(...xs), Math.max(-Math.min(...xs), dx));
  const y = Math.min(1 - Math.max(...ys), Math.max(-Math.min(...ys), dy));
  return {...shape, points: shape.points.map((point) => point_at(point[0] + x, point[1] + y))};
}

/** A new corner in the middle of the edge that begins at `index`. */
export function split_edge(shape: Shape, index: number): Shape {
  if (shape.kind === "line") return shape;
  const a = shape.points[index]!;
  const b = shape.points[(index + 1) % shape.points.length]!;
  return {...shape, points: [...shape.points.slice(0, index + 1), point_at((a[0] + b[0]) / 2, (a[1] + b[1]) / 2), ...shape.points.slice(index + 1)]};
}

/** Without the corner; the same shape where too few would be left. */
export function remove_point(shape: Shape, index: number): Shape {
  if (shape.points.length <= least_points(shape.kind)) return shape;
  return {...shape, points: shape.points.filter((_, i) => i !== index)};
}

/** Twice the area, signed; 0 for what has none. */
export function area2(points: Point[]): number {
  return points.reduce((sum, [x, y], i) => {
    const [nx, ny] = points[(i + 1) % points.length]!;
    return sum + x * ny - nx * y;
  }, 0);
}

function crosses(a: Point, b: Point, c: Point, d: Point): boolean {
  const side = (p: Point, q: Point, r: Point) => Math.sign((q[0] - p[0]) * (r[1] - p[1]) - (q[1] - p[1]) * (r[0] - p[0]));
  return side(a, b, c) * side(a, b, d) < 0 && side(c, d, a) * side(c, d, b) < 0;
}

/** Edges that cut each other make an area that nobody means. */
export function is_crossed(points: Point[]): boolean {
  const edges = points.map((point, i) => [point, points[(i + 1) % points.length]!] as const);
  return edges.some(([a, b], i) => edges.some(([c, d], j) => j > i && crosses(a, b, c, d)));
}

/** What is wrong with the shapes, for people; empty where all is well. */
export function problems(shapes: Shape[]): string[] {
  const found: string[] = [];
  const names = new Set<string>();
  for (const shape of shapes) {
    const title = `${shape.kind} ${shape.name}`;
    if (shape.kind !== "mask" && !/^[A-Za-z0-9._-]{1,64}$/.test(shape.name)) found.push(`${title}: the name may hold letters, digits, dot, dash and underscore`);
    const key = (shape.kind === "mask" ? "m:" : "n:") + shape.name;
    if (shape.kind !== "mask" && names.has(key)) found.push(`${title}: there are two of that name`);
    names.add(key);
    if (shape.points.length < least_points(shape.kind)) found.push(`${title}: needs ${least_points(shape.kind)} points`);
    else if (shape.kind === "line" ? String(shape.points[0]) === String(shape.points[1]) : Math.abs(area2(shape.points)) < 1e-4) found.push(`${title}: is too small`);
    else if (shape.kind !== "line" && is_crossed(shape.points)) found.push(`${title}: its edges cut each other`);
  }
  return found;
}

export function free_name(shapes: Shape[], kind: Shape["kind"]): string {
  const taken = new Set(shapes.map((shape) => shape.name));
  for (let n = 1; ; ++n) if (!taken.has(`${kind}-${n}`)) return `${kind}-${n}`;
}

export function from_settings(settings: CameraSettings): Shape[] {
  const named = (all: Record<string, Point[]> | null | undefined): Shape[] =>
    Object.entries(all ?? {}).map(([name, points]) => ({kind: points.length === 2 ? "line" : "zone", name, points}));
  return [
    ...named(settings.zones), ...named(settings.lines),
    ...(settings.mask ?? []).map((points, i): Shape => ({kind: "mask", name: `mask-${i + 1}`, points})),
  ];
}

/** The body of a change that leaves the camera with these shapes: only what differs from before. null takes all of a kind away. */
export function change_for(before: Shape[], after: Shape[]): Record<string, unknown> {
  const named = (shapes: Shape[], kind: Shape["kind"]) => {
    const all = shapes.filter((shape) => shape.kind === kind);
    return all.length ? Object.fromEntries(all.map((shape) => [shape.name, shape.points])) : null;
  };
  const masks = (shapes: Shape[]) => {
    const all = shapes.filter((shape) => shape.kind === "mask").map((shape) => shape.points);
    return all.length ? all : null;
  };
  const change: Record<string, unknown> = {};
  const note = (key: string, old: unknown, now: unknown) => {
    if (JSON.stringify(old) !== JSON.stringify(now)) change[key] = now;
  };
  note("zones", named(before, "zone"), named(after, "zone"));
  note("lines", named(before, "line"), named(after, "line"));
  note("mask", masks(before), masks(after));
  return change;
}
