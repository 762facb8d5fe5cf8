import assert from "node:assert/strict";
import {test} from "node:test";
import type {Point} from "../src/api_types.ts";
import {area2, change_for, free_name, from_settings, is_crossed, move_point, move_shape, problems, remove_point, split_edge, type Shape} from "../src/zone_model.ts";

const square: Point[] = [[0.2, 0.2], [0.6, 0.2], [0.6, 0.6], [0.2, 0.6]];
const zone = (name = "bay", points = square): Shape => ({kind: "zone", name, points});

test("no corner leaves the picture, however far it is dragged", () => {
  for (const to of [[-5, 0.5], [9, 9], [0.5, -0.001]] as Point[]) {
    for (const [x, y] of move_point(zone(), 1, to).points) assert.ok(x >= 0 && x <= 1 && y >= 0 && y <= 1);
  }
});

test("a shape that is dragged against the border keeps its form", () => {
  for (const [dx, dy] of [[9, 9], [-9, 0.1], [0.1, -9]] as Point[]) {
    const moved = move_shape(zone(), dx, dy);
    assert.ok(Math.abs(area2(moved.points) - area2(square)) < 1e-6);
    assert.ok(moved.points.flat().every((value) => value >= 0 && value <= 1));
  }
});

test("corners can be added and taken away, but a polygon keeps three and a line two", () => {
  const five = split_edge(zone(), 3);
  assert.deepEqual(five.points[4], [0.2, 0.4], "the last edge ends at the first corner");
  assert.deepEqual(remove_point(five, 4).points, square);
  let shape = zone();
  for (let i = 0; i < 9; ++i) shape = remove_point(shape, 0);
  assert.equal(shape.points.length, 3);
  const line: Shape = {kind: "line", name: "door", points: [[0, 0], [1, 1]]};
  assert.equal(remove_point(line, 0).points.length, 2);
  assert.equal(split_edge(line, 0).points.length, 2);
});

test("edges that cut each other are found, neighbours do not count", () => {
  assert.ok(!is_crossed(square));
  assert.ok(is_crossed([[0, 0], [1, 1], [1, 0], [0, 1]]));
  assert.ok(!is_crossed([[0, 0], [1, 0], [0.5, 0.2], [0.5, 1]]));
});

test("what the server would refuse is said before it is asked", () => {
  assert.deepEqual(problems([zone(), zone("dock")]), []);
  assert.match(problems([zone(), zone()])[0]!, /two of that name/);
  assert.match(problems([zone("bad name")])[0]!, /letters/);
  assert.match(problems([zone("")])[0]!, /letters/);
  assert.match(problems([zone("flat", [[0, 0], [0.5, 0.5], [1, 1]])])[0]!, /too small/);
  assert.match(problems([{kind: "line", name: "l", points: [[0.1, 0.1], [0.1, 0.1]]}])[0]!, /too small/);
  assert.match(problems([zone("x", [[0, 0], [1, 0.9], [1, 0], [0, 1]])])[0]!, /cut each other/);
});

test("only what was changed is sent, and the rest of the camera stays", () => {
  const before = from_settings({id: "a", url: "b", zones: {bay: square}, lines: {door: [[0, 0], [1, 1]]}, mask: [square]});
  assert.deepEqual(before.map((shape) => shape.kind), ["zone", "line", "mask"]);
  assert.deepEqual(change_for(before, before), {});
  assert.deepEqual(change_for(before, before.slice(1)), {zones: null});
  const more = [...before, zone("dock")];
  assert.deepEqual(change_for(before, more), {zones: {bay: square, dock: square}});
  assert.deepEqual(change_for(before, before.slice(0, 2)), {mask: null});
});

test("a new shape gets a name that nobody has", () => {
  assert.equal(free_name([], "zone"), "zone-1");
  assert.equal(free_name([zone("zone-1"), zone("zone-3")], "zone"), "zone-2");
});
