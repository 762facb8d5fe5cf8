import assert from "node:assert/strict";
import {test} from "node:test";
import type {CameraStats, Trouble} from "../src/api_types.ts";
import {in_short, why, why_out} from "../src/why.ts";

const NONE = {captured_per_s: 0, sampled_per_s: 0, answered_per_s: 0, inferred_per_s: 0, carried_per_s: 0, overdue_per_s: 0, lost_per_s: 0};

function caption(state: CameraStats["state"], ...troubles: Trouble[]): string {
  return in_short(why({id: "gate", state, rates: NONE, p95_ms: null, troubles})[0]!, state);
}

test("a caption says why, neither the state again nor the address", () => {
  assert.equal(caption("down", {kind: "down", text: "rtsp://10.0.0.5:554/1: Connection refused; check address and port"}), "Connection refused; check address and port");
  assert.equal(caption("failed", {kind: "failed", text: "/srv/clips/a.mp4 is not a video that can be read"}), "a.mp4 is not a video that can be read");
  assert.equal(caption("paused", {kind: "paused", text: "paused by an operator"}), "paused by an operator");
});

test("what is wrong with a camera that is up has its heading, the worst first", () => {
  const rate = {kind: "rate", text: "2.0 frames/s come of the 8.0 that are to be answered"};
  assert.equal(caption("up", rate), "Too few frames: 2.0 frames/s come of the 8.0 that are to be answered");
  assert.equal(caption("frozen", rate, {kind: "frozen", text: "frames come, and all show the same picture"}), "frames come, and all show the same picture");
});

test("a model that is out says what becomes of its cameras, and why", () => {
  const out = {model: "defects", variant: "steel@640x384", out_s: 150, stands_in: false, last_error: "no such operator"};
  assert.deepEqual(why_out(out), {level: 2, title: "Model out", text: "defects (steel@640x384), for 2 min: its batches fail on this device, others come through. "
    + "No other device has it: answers carry on what was seen last. It is tried again by itself. Last error: no such operator."});
  const carried = why_out({...out, variant: "defects", stands_in: true, last_error: ""});
  assert.equal(carried.level, 1);
  assert.match(carried.text, /^defects, for 2 min:.* Another device runs them meanwhile. It is tried again by itself.$/);
});
