import assert from "node:assert/strict";
import {test} from "node:test";
import type {CameraState, CameraStats} from "../src/api_types.ts";
import {page_of, wall_order} from "../src/wall_order.ts";
import {level_of, why} from "../src/why.ts";

function camera(id: string, state: CameraState = "up", more: Partial<CameraStats> = {}): CameraStats {
  const rates = {captured_per_s: 0, sampled_per_s: 0, answered_per_s: 0, inferred_per_s: 0, carried_per_s: 0, overdue_per_s: 0, lost_per_s: 0};
  return {id, state, rates, p95_ms: null, fidelity: null, alarms: 0, troubles: [], ...more};
}
const ids = (cameras: CameraStats[]) => cameras.map((one) => one.id);

test("names count as people count", () => {
  assert.deepEqual(ids(wall_order([camera("gate-10"), camera("gate-2"), camera("Dock-1")], "all", "", "name")), ["Dock-1", "gate-2", "gate-10"]);
});

test("each word of a search has to fit, in any case", () => {
  const all = [camera("hall-a-north"), camera("hall-b-north"), camera("yard")];
  assert.deepEqual(ids(wall_order(all, "all", "HALL north", "name")), ["hall-a-north", "hall-b-north"]);
  assert.deepEqual(ids(wall_order(all, "all", "b hall", "name")), ["hall-b-north"]);
  assert.deepEqual(wall_order(all, "all", "cellar", "name"), []);
});

test("what needs a person comes first: alarms, then faults, then warnings; a pause is no fault", () => {
  const all = [
    camera("paused", "paused", {troubles: [{kind: "paused", text: "by an operator"}]}), camera("fine"),
    camera("late", "up", {troubles: [{kind: "overdue", text: "9 %"}]}), camera("down", "down", {troubles: [{kind: "down", text: "refused"}]}),
    camera("alarm", "up", {alarms: 1}),
  ];
  assert.deepEqual(ids(wall_order(all, "all", "", "attention")), ["alarm", "down", "late", "fine", "paused"]);
  assert.deepEqual(ids(wall_order(all, "attention", "", "name")), ["alarm", "down", "late"]);
  assert.deepEqual(ids(wall_order(all, "down", "", "name")), ["down"]);
});

test("unknown figures sort last, not as if they were the worst", () => {
  const all = [camera("unknown"), camera("slow", "up", {p95_ms: 300, fidelity: 0.9}), camera("quick", "up", {p95_ms: 30, fidelity: 0.99})];
  assert.deepEqual(ids(wall_order(all, "all", "", "p95")), ["slow", "quick", "unknown"]);
  assert.deepEqual(ids(wall_order(all, "all", "", "fidelity")), ["slow", "quick", "unknown"]);
});

test("a page number out of range is brought back, and all pages together show each camera once", () => {
  const all = Array.from({length: 501}, (_, i) => i);
  assert.equal(page_of(all, 99, 50).page, 10);
  assert.equal(page_of([], 3, 50).page, 0);
  assert.deepEqual(Array.from({length: 11}, (_, page) => page_of(all, page, 50).shown).flat(), all);
});

test("worst trouble first, each in plain words, and a kind from a newer server is still shown", () => {
  const both = camera("x", "up", {troubles: [{kind: "rung", text: "uses small"}, {kind: "frozen", text: "for 40 s"}, {kind: "solar_flare", text: "sun"}]});
  assert.deepEqual(why(both).map((one) => one.title), ["Picture frozen", "Smaller model", "solar flare"]);
  assert.equal(level_of(both), 2);
  assert.equal(level_of(camera("y", "down")), 2, "the state says it even without a reason");
  assert.equal(level_of(camera("z")), 0);
});
