import {useEffect, useRef} from "preact/hooks";
import type {Result} from "./api_types.ts";
import {draw_boxes, fit} from "./boxes.ts";
import {snapshots, type Snapshot} from "./snapshots.ts";
import {store} from "./store.ts";

export type BoxesOf = "picture" | "live" | "off";

interface Props {
  camera: string;
  /** Between two pictures. */
  period_ms: number;
  boxes: BoxesOf;
  has_labels: boolean;
  /** Pixels asked for; the server makes the picture smaller. */
  width: number;
}

/** The newest picture of a camera with the boxes of its answer. By default the boxes are those of the very frame that is shown, so that
 *  they fit; "live" draws each answer as it comes over the last picture. */
export function Picture({camera, period_ms, boxes, has_labels, width}: Props) {
  const canvas = useRef<HTMLCanvasElement>(null);
  useEffect(() => {
    const element = canvas.current!;
    let picture: Snapshot | null = null;
    let frame = 0;
    const draw = () => {
      frame = 0;
      paint(element, picture, boxes === "off" ? undefined : boxes === "live" || !picture ? store.newest_answer(camera) : store.answer_of(camera, picture.seq), has_labels);
    };
    const draw_soon = () => {
      frame ||= requestAnimationFrame(draw);
    };
    const ends = [
      snapshots.watch(camera, width, period_ms, (next) => {
        picture?.bitmap.close();
        picture = next;
        draw_soon();
      }),
      store.listen_answers(camera, draw_soon),
    ];
    const sizes = new ResizeObserver(draw_soon);
    sizes.observe(element);
    return () => {
      ends.forEach((end) => end());
      sizes.disconnect();
      cancelAnimationFrame(frame);
      picture?.bitmap.close();
    };
  }, [camera, period_ms, boxes, has_labels, width]);
  return <canvas ref={canvas} class="picture" role="img" aria-label={`Picture of ${camera}`} />;
}

function paint(element: HTMLCanvasElement, picture: Snapshot | null, answer: Result | undefined, has_labels: boolean): void {
  const density = Math.min(devicePixelRatio || 1, 2);
  const view = {width: element.clientWidth, height: element.clientHeight};
  const pixels = {width: Math.round(view.width * density), height: Math.round(view.height * density)};
  if (element.width !== pixels.width || element.height !== pixels.height) Object.assign(element, pixels);
  const context = element.getContext("2d")!;
  context.setTransform(density, 0, 0, density, 0, 0);
  context.clearRect(0, 0, view.width, view.height);
  const source = picture ? picture.bitmap : {width: answer?.width ?? 16, height: answer?.height ?? 9};
  const place = fit(source, view);
  if (picture) context.drawImage(picture.bitmap, place.x, place.y, place.width, place.height);
  const is_large = view.width > 500;
  if (answer) draw_boxes(context, answer, place, {line: is_large ? 2 : 1.5, text: has_labels && view.width > 260 ? (is_large ? 13 : 10) : 0});
  // What a test, or whoever looks at the page's elements, can read.
  element.dataset.origin = answer?.origin ?? "none";
  element.dataset.boxes = String(answer?.detections?.length ?? 0);
  element.dataset.picture = picture ? String(picture.seq) : "";
}
