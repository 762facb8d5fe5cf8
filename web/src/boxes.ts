import type {Detection, Origin, Result} from "./api_types.ts";

/** How the outline of a box shows where the answer came from: solid was inferred, dashed was carried along by motion, dotted is an old
 *  answer shown again. Lengths in units of the line's width. */
export function dash_of(origin: Origin): number[] {
  if (origin === "propagated") return [5, 3];
  if (origin === "reused") return [1, 2.2];
  return [];
}

export interface Place {
  x: number;
  y: number;
  width: number;
  height: number;
}

/** Where a picture of `source` lies in a view: as large as fits, in the middle. */
export function fit(source: {width: number; height: number}, view: {width: number; height: number}): Place {
  if (source.width <= 0 || source.height <= 0) return {x: 0, y: 0, width: view.width, height: view.height};
  const scale = Math.min(view.width / source.width, view.height / source.height);
  const width = source.width * scale;
  const height = source.height * scale;
  return {x: (view.width - width) / 2, y: (view.height - height) / 2, width, height};
}

export function box_place(box: Detection["box"], source: {width: number; height: number}, place: Place): Place {
  const sx = place.width / source.width;
  const sy = place.height / source.height;
  return {x: place.x + box[0] * sx, y: place.y + box[1] * sy, width: (box[2] - box[0]) * sx, height: (box[3] - box[1]) * sy};
}

export interface BoxStyle {
  line: number;
  /** Pixels; 0 writes no labels. */
  text: number;
}

/** Draws the boxes of an answer: a light line on a dark one, which is seen on any picture. */
export function draw_boxes(canvas: CanvasRenderingContext2D, result: Result, place: Place, style: BoxStyle): void {
  if (!result.detections || !result.width || !result.height) return;
  const source = {width: result.width, height: result.height};
  const taken: Place[] = [];
  canvas.save();
  canvas.lineJoin = "miter";
  // The surest first: where labels would cover each other, its label stays.
  const sure_first = [...result.detections].sort((a, b) => b.score - a.score);
  for (const detection of sure_first) {
    const box = box_place(detection.box, source, place);
    const dash = dash_of(result.origin).map((length) => length * style.line);
    canvas.setLineDash(dash);
    canvas.lineCap = result.origin === "reused" ? "round" : "butt";
    canvas.strokeStyle = "rgba(0,0,0,.75)";
    canvas.lineWidth = style.line + 2;
    canvas.strokeRect(box.x, box.y, box.width, box.height);
    canvas.strokeStyle = "#fff";
    canvas.lineWidth = style.line;
    canvas.strokeRect(box.x, box.y, box.width, box.height);
  }
  if (style.text > 0) {
    for (const detection of sure_first) write_label(canvas, detection, box_place(detection.box, source, place), place, style.text, taken);
  }
  canvas.restore();
}

function overlap(a: Place, b: Place): boolean {
  return a.x < b.x + b.width && b.x < a.x + a.width && a.y < b.y + b.height && b.y < a.y + a.height;
}

/** Above the box, or inside it at its top; left out where another label is, since two on each other say nothing. */
function write_label(canvas: CanvasRenderingContext2D, detection: Detection, box: Place, picture: Place, size: number, taken: Place[]): void {
  const text = `${detection.label.replaceAll("_", " ")} ${detection.score.toFixed(2)}`;
  canvas.font = `${size}px system-ui, sans-serif`;
  const width = canvas.measureText(text).width + 6;
  const height = size + 4;
  const x = Math.max(picture.x, Math.min(box.x - 1, picture.x + picture.width - width));
  const y = box.y - height >= picture.y ? box.y - height : box.y;
  const label = {x, y, width, height};
  if (taken.some((other) => overlap(label, other))) return;
  taken.push(label);
  canvas.fillStyle = "rgba(0,0,0,.75)";
  canvas.fillRect(x, y, width, height);
  canvas.fillStyle = "#fff";
  canvas.textBaseline = "top";
  canvas.fillText(text, x + 3, y + 2);
}
