'use strict';

// How much something grows: a straight line through it that outliers do not bend.

const { median } = require('../table');

/** A line is laid through so many medians, so that one long garbage collection is one point of them. */
const BINS = 60;

/**
 * The slope after Theil and Sen: the median of the slopes between all pairs of points, which are medians of
 * their neighbourhoods.
 *
 * @param {number[]} seconds in order
 * @param {number[]} values at least one
 * @returns {{ perHour: number, median: number }} the slope in an hour, and the median of the values; the slope of one
 *   point is 0
 */
function slope(seconds, values) {
  const each = Math.max(1, Math.ceil(values.length / BINS));
  const points = [];
  for (let from = 0; from < values.length; from += each) {
    const to = Math.min(values.length, from + each);
    points.push({ at: median(seconds.slice(from, to)), value: median(values.slice(from, to)) });
  }
  const slopes = points.flatMap(({ at, value }, index) =>
    points.slice(index + 1).map((later) => (later.value - value) / (later.at - at)),
  );
  const finite = slopes.filter(Number.isFinite);
  return { perHour: finite.length > 0 ? median(finite) * 3_600 : 0, median: median(values) };
}

module.exports = { slope };
