import assert from "node:assert/strict";
import {test} from "node:test";
import * as format from "../src/format.ts";

test("what is not known is never shown as a number", () => {
  for (const show of [format.per_second, format.milliseconds, format.percent, format.fidelity, format.bytes, format.count]) {
    assert.equal(show(null), format.UNKNOWN);
    assert.equal(show(undefined), format.UNKNOWN);
    assert.notEqual(show(0), format.UNKNOWN);
  }
});

test("fidelity is rounded down, so that 1 means all of it", () => {
  assert.equal(format.fidelity(0.9999), "0.999");
  assert.equal(format.fidelity(1), "1.000");
  assert.equal(format.fidelity(0.95), "0.950");
});

test("durations and sizes", () => {
  assert.equal(format.duration(0), "0 s");
  assert.equal(format.duration(99_000), "99 s");
  assert.equal(format.duration(100_000), "1 min");
  assert.equal(format.duration(3 * 3600_000 + 20 * 60_000), "3 h 20 min");
  assert.equal(format.duration(-5), "0 s", "clocks differ");
  assert.equal(format.bytes(999), "999 B");
  assert.equal(format.bytes(25_276_502_016), "25.3 GB");
  assert.equal(format.count(1234567), "1\u2009234\u2009567");
});

test("a moment names the date unless it is today", () => {
  const noon = new Date(2026, 5, 15, 12, 0, 0).getTime();
  assert.equal(format.moment(new Date(2026, 5, 15, 9, 5, 3).toISOString(), noon), "09:05:03");
  assert.equal(format.moment(new Date(2026, 5, 14, 9, 5, 3).toISOString(), noon), "2026-06-14 09:05:03");
});

test("changes are named, many of them counted", () => {
  const none = {added: [], changed: [], removed: []};
  assert.equal(format.describe_changes(none), "");
  assert.equal(format.describe_changes({...none, added: ["yard"]}), "yard added");
  assert.equal(format.describe_changes({added: ["a", "b", "c"], changed: ["d"], removed: ["e", "f", "g", "h"]}), "a, b, c added; d changed; e, f and 2 more removed");
});

test("need is shown with as many digits as can be compared", () => {
  assert.equal(format.need(null), format.UNKNOWN);
  assert.equal(format.need(0), "0");
  assert.equal(format.need(0.034), "0.03");
  assert.equal(format.need(3.14159), "3.1");
  assert.equal(format.need(598.94), "599");
  assert.equal(format.need(12345.6), "12\u2009346");
});

test("each Nth frame as people say it", () => {
  assert.deepEqual([1, 2, 3, 4, 11, 12, 21, 113, 122].map(format.each_nth).map((text) => text.split(" ")[1]),
    ["frame", "2nd", "3rd", "4th", "11th", "12th", "21st", "113th", "122nd"]);
});
