/** How long to wait before attempt `attempt` (0 is the first after a loss), in ms: doubles from half a second to 15 s. `random` (0..1)
 *  spreads it to between half and all of that, so that many pages do not come back at the same moment. */
export function backoff_ms(attempt: number, random: number): number {
  const whole = Math.min(15_000, 500 * 2 ** Math.min(attempt, 10));
  return Math.round(whole * (0.5 + 0.5 * random));
}
