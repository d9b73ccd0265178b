'use strict';

// What a handler does beside its answer, where WORK_MICROS says how long that takes. It is work of the processor and
// not a wait for the clock, so that it takes longer where other threads want the same processor.

const { WORK_MICROS } = process.env;

/** Often enough for the compiler, and for a moment in which nothing disturbs. */
const TRIALS = 50;
const STEPS = 100_000;

let state = 1;

/** @param {number} steps */
function turn(steps) {
  let value = state;
  for (let step = 0; step < steps; step++) value = (Math.imul(value, 1_664_525) + 1_013_904_223) | 0;
  state = value;
}

/** @returns {number} steps in a microsecond */
function pace() {
  let least = Number.POSITIVE_INFINITY;
  for (let trial = 0; trial < TRIALS; trial++) {
    const began = performance.now();
    turn(STEPS);
    least = Math.min(least, performance.now() - began);
  }
  return STEPS / (least * 1000);
}

const steps = WORK_MICROS === undefined ? 0 : Math.round(pace() * Number(WORK_MICROS));

/** Works for so long; undefined without WORK_MICROS. @type {(() => void) | undefined} */
const work = steps === 0 ? undefined : () => turn(steps);

module.exports = { work };
