import type {CameraStats, ModelOut} from "./api_types.ts";
import {duration} from "./format.ts";

/** How bad: 2 nothing is seen, 1 less than was asked for, 0 all is well. `paused` is wanted, so it is no fault. */
export type Level = 0 | 1 | 2;

export interface Why {
  kind: string;
  level: Level;
  /** Two or three words for a tile. */
  title: string;
  text: string;
  /** What a person in front of the page can do. */
  remedy: string;
}

const KNOWN: Record<string, [Level, string, string]> = {
  down: [2, "No connection", "Check power, network and address of the camera; framemill goes on trying by itself."],
  failed: [2, "Failed", "This does not mend by itself: edit the camera's settings, or restart it."],
  frozen: [2, "Picture frozen", "The camera sends frames, and all are the same. Restart the camera itself; if the scene is still by nature, raise frozen_after."],
  connecting: [1, "Connecting", "Wait a few seconds."],
  paused: [0, "Paused", "Somebody paused it. Resume connects it again."],
  overdue: [1, "Answers late", "The machine is at its limit: a lower rate, a longer slo or a cheaper policy for less important cameras gives it room."],
  reorder: [1, "Answers late", "The camera sends B frames, which show only when later pictures have come: switch them off in its encoder, or give it a longer slo."],
  lost: [1, "Frames unanswered", "The machine is at its limit: policy adaptive answers the rest by motion, a lower rate asks for less."],
  fidelity: [1, "Fidelity low", "More frames have to be inferred: more capacity, a higher budget, or a lower rate elsewhere."],
  rung: [1, "Smaller model", "Load has pushed it to a cheaper model; it comes back by itself when there is room."],
  decode_errors: [1, "Damaged stream", "Packets get lost on the way: check the network, or use transport tcp."],
  rate: [1, "Too few frames", "The camera sends fewer frames than its rate asks for: check the camera's own settings, or lower rate."],
};

/** Why the camera is not as it should be, worst first. Empty where all is well. */
export function why(camera: CameraStats): Why[] {
  return camera.troubles
    .map(({kind, text}): Why => {
      const [level, title, remedy] = KNOWN[kind] ?? [1, kind.replaceAll("_", " "), ""];
      return {kind, level, title, text, remedy};
    })
    .sort((a, b) => b.level - a.level);
}

/** What a caption has room for: the reason without the address or folder that it begins with, which the camera's page shows; after its heading
 *  where that says more than the state, which is seen anyway. */
export function in_short({kind, title, text}: Why, state: string): string {
  const reason = text.replace(/^\S*\/\S*: /, "").replace(/^\S*\//, "");
  return kind === state ? reason : `${title}: ${reason}`;
}

export function level_of(camera: CameraStats): Level {
  const by_state: Level = camera.state === "down" || camera.state === "failed" || camera.state === "frozen" ? 2 : camera.state === "connecting" ? 1 : 0;
  return Math.max(by_state, ...why(camera).map((one) => one.level)) as Level;
}

/** What it means that a model is out on a device that otherwise works: which, since when, what becomes of its cameras, and why. */
export function why_out({model, variant, out_s, stands_in, last_error}: ModelOut): Pick<Why, "level" | "title" | "text"> {
  const name = variant === model ? model : `${model} (${variant})`;
  const effect = stands_in ? "Another device runs them meanwhile." : "No other device has it: answers carry on what was seen last.";
  const reason = last_error.trim().replace(/([^.!?])$/, "$1.");
  return {
    level: stands_in ? 1 : 2,
    title: "Model out",
    text: `${name}, for ${duration(1000 * out_s)}: its batches fail on this device, others come through. ${effect} It is tried again by itself.${reason && ` Last error: ${reason}`}`,
  };
}
