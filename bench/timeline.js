'use strict';

// Figures of a run over time: panels below each other over one axis. Scales and paths are d3's. Used by million/ and soak/.

const { escapeXml, svg, whole } = require('./svg');

const WIDTH = 960;
const LEFT = 76;
const RIGHT = 24;
const HEAD = 110;
const PANEL = 118;
const GAP = 52;
const FOOT = 56;

/** More points than pixels show nothing more: seconds are put together. */
const POINTS = 420;

/**
 * @typedef {object} Point of several seconds, as many as the width allows for
 * @property {number} at minutes or seconds, as the axis has it
 * @property {number} least
 * @property {number} mean
 * @property {number} most
 *
 * @typedef {object} Trace one line or area of a panel
 * @property {string} color the class of its colour
 * @property {number[]} values one for each second
 * @property {'line' | 'area' | 'marks'} shape `area`: filled from the trace below it or from zero; `marks`:
 *   a bar wherever it is not zero
 * @property {string} [label] for the legend, where there is more than one
 *
 * @typedef {object} Panel
 * @property {string} title
 * @property {string} figure the number that one shall remember
 * @property {Trace[]} traces the topmost last
 * @property {(value: number) => string} tick
 *
 * @typedef {object} Timeline
 * @property {string} headline
 * @property {string} note below it
 * @property {string} description for who cannot see it
 * @property {number[]} seconds when each value of a trace was taken
 * @property {string} since what the seconds are counted from
 * @property {{ second: number, label: string } | undefined} mark where something begins
 * @property {Panel[]} panels from top to bottom
 */

/**
 * @param {Timeline} figure
 * @returns {Promise<string>} the SVG
 */
async function timeline({ headline, note, description, seconds, since, mark, panels }) {
  const [{ scaleLinear }, { area, line, curveLinear }] = await Promise.all([
    import('d3-scale'),
    import('d3-shape'),
  ]);
  const end = seconds[seconds.length - 1] || 1;
  const unit = end >= 180 ? { seconds: 60, name: 'minutes' } : { seconds: 1, name: 'seconds' };
  const x = scaleLinear([0, end / unit.seconds], [LEFT, WIDTH - RIGHT]);
  const height = HEAD + panels.length * (PANEL + GAP) - GAP + FOOT;

  const bodies = panels.map((panel, index) => {
    const top = HEAD + index * (PANEL + GAP);
    const most = Math.max(...panel.traces.flatMap(({ values }) => values)) || 1;
    const y = scaleLinear([0, most * 1.06], [top + PANEL, top]).nice(4);
    const shapes = panel.traces.map((trace) => {
      const points = gather(trace.values, seconds, unit.seconds);
      const place = (/** @type {'least' | 'mean' | 'most'} */ name) =>
        line()
          .x(({ at }) => x(at))
          .y((point) => y(point[name]))
          .curve(curveLinear)(points);
      const between = (
        /** @type {'least' | 'mean' | 'most'} */ name,
        /** @type {(point: Point) => number} */ floor,
      ) =>
        area()
          .x(({ at }) => x(at))
          .y0((point) => y(floor(point)))
          .y1((point) => y(point[name]))(points);
      if (trace.shape === 'marks') {
        return points
          .filter(({ most: value }) => value > 0)
          .map(({ at, most: value }) => bar(x(at), y(value), y(0), trace.color))
          .join('');
      }
      const fill =
        trace.shape === 'area'
          ? `<path class="fill ${trace.color}" d="${between('mean', () => 0)}"/>`
          : `<path class="band ${trace.color}" d="${between('most', ({ least }) => least)}"/>`;
      return `${fill}<path class="stroke ${trace.color}" d="${place('mean')}"/>`;
    });
    return [
      ...y.ticks(4).map((value) => gridLine(y(value), panel.tick(value))),
      ...(mark === undefined
        ? []
        : [border(x(mark.second / unit.seconds), top, index === 0 ? mark.label : undefined)]),
      ...shapes,
      `<text class="title" x="${LEFT}" y="${top - 14}">${escapeXml(panel.title)}</text>`,
      legend(panel.traces, LEFT + panel.title.length * 8.4 + 18, top - 14),
      `<text class="figure" x="${WIDTH - RIGHT}" y="${top - 14}">${escapeXml(panel.figure)}</text>`,
    ].join('\n');
  });

  return svg({ width: WIDTH, height, left: LEFT, headline, note, description }, [
    ...bodies,
    ...x.ticks(10).map((value) => timeTick(x(value), height - FOOT, String(value))),
    `<text class="axis middle" x="${(LEFT + WIDTH - RIGHT) / 2}" y="${height - 18}">${unit.name} since ${escapeXml(since)}</text>`,
  ]);
}

/**
 * Puts seconds together, so that there are no more points than pixels.
 *
 * @param {number[]} values
 * @param {number[]} seconds
 * @param {number} unit seconds of the axis's unit
 * @returns {Point[]}
 */
function gather(values, seconds, unit) {
  const each = Math.max(1, Math.ceil(values.length / POINTS));
  const points = [];
  for (let from = 0; from < values.length; from += each) {
    const part = values.slice(from, from + each);
    const middle = seconds[Math.min(seconds.length - 1, from + (part.length >> 1))];
    const sum = part.reduce((total, value) => total + value, 0);
    points.push({
      at: middle / unit,
      least: Math.min(...part),
      mean: sum / part.length,
      most: Math.max(...part),
    });
  }
  return points;
}

/**
 * @param {number[]} counts since the beginning
 * @param {number[]} seconds
 * @returns {number[]} how many came in each second; the first and a last, shorter one as their neighbours
 */
function rate(counts, seconds) {
  const rates = counts.map((count, at) => {
    const took = at === 0 ? 0 : seconds[at] - seconds[at - 1];
    return took > 0.5 ? (count - counts[at - 1]) / took : undefined;
  });
  return rates.map((value, at) => value ?? (at === 0 ? 0 : (rates[at - 1] ?? 0)));
}

/** @param {number} seconds */
function duration(seconds) {
  return seconds < 90 ? `${Math.round(seconds)} s` : `${Math.round(seconds / 60)} min`;
}

/** @param {Trace[]} traces @param {number} left @param {number} baseline */
function legend(traces, left, baseline) {
  if (traces.length < 2) return '';
  let at = left;
  return traces
    .map(({ label = '', color }) => {
      const mark = `<rect class="key ${color}" x="${at.toFixed(1)}" y="${baseline - 9}" width="10" height="10" rx="2"/>`;
      const word = `<text class="axis" x="${(at + 15).toFixed(1)}" y="${baseline}">${escapeXml(label)}</text>`;
      at += 15 + label.length * 6.6 + 16;
      return mark + word;
    })
    .join('');
}

/** @param {number} y @param {string} label */
function gridLine(y, label) {
  const at = y.toFixed(1);
  return (
    `<line class="grid" x1="${LEFT}" x2="${WIDTH - RIGHT}" y1="${at}" y2="${at}"/>` +
    `<text class="axis end" x="${LEFT - 8}" y="${(y + 4).toFixed(1)}">${escapeXml(label)}</text>`
  );
}

/** Where something begins. */
function border(/** @type {number} */ x, /** @type {number} */ top, /** @type {string | undefined} */ label) {
  const at = x.toFixed(1);
  const name =
    label === undefined
      ? ''
      : `<text class="axis" x="${(x + 6).toFixed(1)}" y="${top + PANEL - 8}">${escapeXml(label)}</text>`;
  return `<line class="border" x1="${at}" x2="${at}" y1="${top}" y2="${top + PANEL}"/>${name}`;
}

/** @type {(x: number, y: number, label: string) => string} */
function timeTick(x, y, label) {
  const at = x.toFixed(1);
  return (
    `<line class="tick" x1="${at}" x2="${at}" y1="${y}" y2="${y + 5}"/>` +
    `<text class="axis middle" x="${at}" y="${y + 19}">${label}</text>`
  );
}

/** @type {(x: number, top: number, bottom: number, color: string) => string} */
function bar(x, top, bottom, color) {
  return `<rect class="key ${color}" x="${(x - 1).toFixed(1)}" y="${top.toFixed(1)}" width="2" height="${(bottom - top).toFixed(1)}"/>`;
}

/** @param {number} value of an axis */
function short(value) {
  return Number(value.toFixed(3)).toLocaleString('en-US');
}

/** @param {number} bytes */
function megabytes(bytes) {
  const value = bytes / 1e6;
  return value < 100 ? value.toFixed(1) : whole(Math.round(value));
}

module.exports = { duration, megabytes, rate, short, timeline };
