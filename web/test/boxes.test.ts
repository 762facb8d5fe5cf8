import assert from "node:assert/strict";
import {test} from "node:test";
import {box_place, dash_of, fit} from "../src/boxes.ts";

test("the three origins are told apart by the line alone", () => {
  const looks = (["inferred", "propagated", "reused"] as const).map((origin) => JSON.stringify(dash_of(origin)));
  assert.equal(new Set(looks).size, 3);
  assert.deepEqual(dash_of("inferred"), [], "solid");
});

test("a picture keeps its form and lies in the middle", () => {
  assert.deepEqual(fit({width: 640, height: 360}, {width: 320, height: 180}), {x: 0, y: 0, width: 320, height: 180});
  assert.deepEqual(fit({width: 400, height: 400}, {width: 320, height: 180}), {x: 70, y: 0, width: 180, height: 180});
  assert.deepEqual(fit({width: 640, height: 360}, {width: 100, height: 180}), {x: 0, y: 61.875, width: 100, height: 56.25});
});

test("boxes of source pixels land on the picture, whatever its size", () => {
  const place = fit({width: 400, height: 400}, {width: 320, height: 180});
  assert.deepEqual(box_place([0, 0, 400, 400], {width: 400, height: 400}, place), place);
  assert.deepEqual(box_place([100, 200, 300, 400], {width: 400, height: 400}, place), {x: 115, y: 90, width: 90, height: 90});
});
