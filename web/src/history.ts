/** The last figures of one camera (or of all), a column each, oldest first: what the charts show. Bounded. */
export const HISTORY_S = 600;

export class History {
  readonly at: number[] = [];
  readonly columns: Record<string, (number | null)[]> = {};

  constructor(readonly names: readonly string[]) {
    for (const name of names) this.columns[name] = [];
  }

  /** `at_s`: seconds since the epoch; a sample that is not newer than the last is left out. A pause of over 3 s becomes a gap. */
  push(at_s: number, values: Record<string, number | null | undefined>): void {
    const last = this.at.at(-1);
    if (last !== undefined && at_s <= last) return;
    if (last !== undefined && at_s - last > 3) this.append(last + 1, {});
    this.append(at_s, values);
    while (this.at.length > 0 && this.at[0]! < at_s - HISTORY_S) {
      this.at.shift();
      for (const name of this.names) this.columns[name]!.shift();
    }
  }

  private append(at_s: number, values: Record<string, number | null | undefined>): void {
    this.at.push(at_s);
    for (const name of this.names) this.columns[name]!.push(values[name] ?? null);
  }
}
