import {camera_path, request} from "./api.ts";

/** In flight at once, over the whole page: the server has few workers, and a first picture may take over a second. */
const IN_FLIGHT_MAX = 2;
const FAILED_WAIT_MS = 3_000;

export interface Snapshot {
  bitmap: ImageBitmap;
  seq: number;
  captured_at: string;
  received_at: number;
}

interface Viewer {
  camera: string;
  width: number;
  period_ms: number;
  next_at: number;
  is_asking: boolean;
  on_picture: (snapshot: Snapshot) => void;
}

/** Who is next: of those that are due, the one that has waited for longest. */
export function next_viewer<T extends {next_at: number; is_asking: boolean}>(viewers: Iterable<T>, now: number): T | null {
  let found: T | null = null;
  for (const viewer of viewers) {
    if (!viewer.is_asking && viewer.next_at <= now && (!found || viewer.next_at < found.next_at)) found = viewer;
  }
  return found;
}

/** Fetches pictures for all views of the page in turn, at a bounded rate together, and none while nobody can see the page. */
class Snapshots {
  private readonly viewers = new Set<Viewer>();
  private in_flight = 0;
  private last_at = 0;
  private timer: number | undefined;
  /** Between two requests of the whole page, at least. */
  spacing_ms = 80;

  constructor() {
    document.addEventListener("visibilitychange", () => this.turn());
  }

  /** Pictures of a camera until the returned function is called. The bitmap belongs to the viewer. */
  watch(camera: string, width: number, period_ms: number, on_picture: (snapshot: Snapshot) => void): () => void {
    const viewer: Viewer = {camera, width, period_ms, next_at: performance.now(), is_asking: false, on_picture};
    this.viewers.add(viewer);
    this.turn();
    return () => void this.viewers.delete(viewer);
  }

  private turn(): void {
    clearTimeout(this.timer);
    if (document.hidden || this.viewers.size === 0) return;
    const now = performance.now();
    if (this.in_flight < IN_FLIGHT_MAX && now - this.last_at >= this.spacing_ms) {
      const viewer = next_viewer(this.viewers, now);
      if (viewer) {
        this.last_at = now;
        void this.fetch(viewer);
      }
    }
    this.timer = window.setTimeout(() => this.turn(), this.spacing_ms);
  }

  private async fetch(viewer: Viewer): Promise<void> {
    viewer.is_asking = true;
    ++this.in_flight;
    const started = performance.now();
    let wait = viewer.period_ms;
    try {
      const response = await request(camera_path(viewer.camera, `/snapshot.jpg?width=${viewer.width}`), {signal: AbortSignal.timeout(8_000)});
      const bitmap = await createImageBitmap(await response.blob());
      if (this.viewers.has(viewer)) {
        viewer.on_picture({
          bitmap,
          seq: Number(response.headers.get("X-Framemill-Seq") ?? 0),
          captured_at: response.headers.get("X-Framemill-Captured-At") ?? "",
          received_at: Date.now(),
        });
      } else {
        bitmap.close();
      }
    } catch {
      wait = Math.max(wait, FAILED_WAIT_MS);  // the tile says what is wrong with the camera; here is only no picture
    } finally {
      --this.in_flight;
      viewer.is_asking = false;
      viewer.next_at = started + wait;
    }
  }
}

export const snapshots = new Snapshots();
