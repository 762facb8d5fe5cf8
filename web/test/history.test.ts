import assert from "node:assert/strict";
import {test} from "node:test";
import {HISTORY_S, History} from "../src/history.ts";

test("columns stay of one length, bounded, and in the order of time", () => {
  const history = new History(["a", "b"]);
  for (let s = 1; s <= 3 * HISTORY_S; ++s) history.push(s, {a: s, b: s % 2 ? null : 1});
  history.push(5, {a: 1});  // older than the last
  history.push(3 * HISTORY_S, {a: 1});  // the same again
  assert.ok(history.at.length <= HISTORY_S + 1);
  assert.equal(history.columns["a"]!.length, history.at.length);
  assert.equal(history.columns["b"]!.length, history.at.length);
  assert.equal(history.columns["a"]!.at(-1), 3 * HISTORY_S);
  assert.ok(history.at.every((at, i) => i === 0 || at > history.at[i - 1]!));
});

test("an outage leaves a gap, not a straight line over it", () => {
  const history = new History(["a"]);
  history.push(10, {a: 1});
  history.push(11, {a: 2});
  history.push(60, {a: 3});
  assert.deepEqual(history.at, [10, 11, 12, 60]);
  assert.deepEqual(history.columns["a"], [1, 2, null, 3]);
});
