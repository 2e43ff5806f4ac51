// How numbers are written, everywhere the same.

const integer = new Intl.NumberFormat("en-US", { maximumFractionDigits: 0 });

export function formatInteger(value: number): string {
  return integer.format(value);
}

/** Four significant digits at most; powers of ten outside 1e-3 .. 1e5. */
export function formatNumber(value: number, digits = 4): string {
  if (Number.isNaN(value)) return "–";
  if (!Number.isFinite(value)) return value > 0 ? "∞" : "−∞";
  if (value === 0) return "0";
  const size = Math.abs(value);
  const text = size < 1e-3 || size >= 1e5 ? value.toExponential(digits - 2) : String(Number(value.toPrecision(digits)));
  return text.replace("-", "−").replace("e+", "e").replace("e-", "e−");
}

/** Ticks of one axis: as few digits as write each of them as it is. */
export function tickLabels(ticks: readonly number[]): string[] {
  const exact = (digits: number) => ticks.every((tick) => Math.abs(Number(tick.toPrecision(digits)) - tick) <= 1e-9 * Math.abs(tick));
  // `formatNumber` writes a power of ten with one digit less.
  const digits = [2, 3, 4, 5, 6].find((count) => exact(count - 1)) ?? 7;
  return ticks.map((tick) => formatNumber(tick, digits));
}

export function formatShare(value: number | null): string {
  if (value === null || Number.isNaN(value)) return "–";
  const percent = value * 100;
  return `${percent.toFixed(Math.abs(percent) < 10 ? 1 : 0).replace("-", "−")} %`;
}

export function formatBytes(bytes: number): string {
  const units = ["B", "kB", "MB", "GB", "TB"];
  let value = bytes;
  let unit = 0;
  while (value >= 1000 && unit < units.length - 1) {
    value /= 1000;
    unit += 1;
  }
  return `${unit === 0 ? value : value.toPrecision(3)} ${units[unit]}`;
}

/** Keeps the end of a dotted name, which tells layers apart best. */
export function shorten(name: string, length: number): string {
  const letters = [...name];
  return letters.length <= length ? name : `…${letters.slice(letters.length - length + 1).join("")}`;
}

/** Name of a layer; where it ends in a number, as in `nn.Sequential`, its type says what it is. */
export function layerLabel({ name, type }: { name: string; type: string }): string {
  return /(^|\.)\d+$/.test(name) ? `${name} ${type}` : name;
}
