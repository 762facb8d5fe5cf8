import assert from "node:assert/strict";
import {test} from "node:test";
import {backoff_ms} from "../src/backoff.ts";

test("waits grow and stay bounded, and are never zero", () => {
  let last = 0;
  for (let attempt = 0; attempt < 100; ++attempt) {
    const wait = backoff_ms(attempt, 1);
    assert.ok(wait >= last && wait <= 15_000);
    last = wait;
  }
  assert.equal(last, 15_000);
  assert.ok(backoff_ms(0, 0) >= 250);
  assert.ok(backoff_ms(3, 0) < backoff_ms(3, 1), "pages do not all come back at once");
});
