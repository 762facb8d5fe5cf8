import assert from "node:assert/strict";
import {test} from "node:test";
import type {CameraSettings} from "../src/api_types.ts";
import {change_of, problems_by_field, values_of} from "../src/camera_settings.ts";

const GATE: CameraSettings = {id: "gate", url: "rtsp://10.0.0.5/1", rate: 5, slo: "200ms", priority: "normal", transport: "auto", mask: [[[0, 0], [1, 0], [1, 1]]]};

test("adding a camera sends what was filled in, and nothing of what was not", () => {
  assert.deepEqual(change_of({}, {id: " gate ", url: "rtsp://10.0.0.5/1", username: "", password: " p ", rate: "2.5", slo: "", priority: ""}),
    {id: "gate", url: "rtsp://10.0.0.5/1", rate: 2.5, password: " p "});
});

test("a change sends what differs: an unchanged form changes nothing, an emptied field is the default again", () => {
  const before = values_of(GATE);
  assert.deepEqual(change_of(before, {...before, username: "", password: ""}), {});
  assert.deepEqual(change_of(before, {...before, slo: "", priority: "critical"}), {slo: null, priority: "critical"});
  assert.deepEqual(change_of(before, {...before, username: "admin", password: "secret"}), {username: "admin", password: "secret"});
  assert.deepEqual(change_of(before, {...before, username: "", password: ""}, true), {username: null, password: null});
});

test("rate and every take each other's place, and the default is that of both", () => {
  const before = values_of(GATE);
  assert.deepEqual(change_of(before, {...before, rate: "", every: "3"}), {every: 3});
  assert.deepEqual(change_of({...before, rate: "", every: "3"}, {...before, rate: "4", every: ""}), {rate: 4});
  assert.deepEqual(change_of(before, {...before, rate: "", every: ""}), {rate: null, every: null});
});

test("a refusal stands at its field, and without the words for programs", () => {
  const fields = ["url", "slo", "rate"];
  const one = {code: "invalid_argument", error: '"40" is not a duration', where: "slo", remedy: 'write one like "200ms"'};
  assert.deepEqual(problems_by_field(one, fields), {slo: '"40" is not a duration; write one like "200ms"'});
  const several = {...one, problems: [one, {error: "is too large", where: "cameras[gate].rate", remedy: "see docs/api.md"}, {error: "is busy", where: "body", remedy: "wait"}]};
  assert.deepEqual(problems_by_field(several, fields), {slo: '"40" is not a duration; write one like "200ms"', rate: "is too large", "": "is busy; wait"});
  assert.deepEqual(problems_by_field({...one, where: "zones"}, fields), {"": 'zones: "40" is not a duration; write one like "200ms"'});
});
