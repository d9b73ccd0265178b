'use strict';

/** What `send` knows of a slow peer, step by step, with a reactor that answers when the test says so. */

const assert = require('node:assert/strict');
const { beforeEach, describe, test } = require('node:test');
const { Backlog } = require('../lib/backlog');
const { WebSocket } = require('../lib/websocket');

const INDEX = 3;
const SENT = 1;
const QUEUED = 0;
/** With its head a message counts 10 bytes more. */
const MESSAGE = 90;
/** Ten messages. */
const LIMIT = 1_000;

describe('lib/backlog.js', () => {
  let backlog;
  let outgoing;
  let page;
  let watches;
  const socket = new WebSocket({ maxBackpressure: LIMIT, surgeBytes: LIMIT }, INDEX);

  beforeEach(() => {
    watches = 0;
    outgoing = { lastFlush: 1 };
    page = { unconfirmed: new Uint32Array(INDEX + 1), flushes: new Int32Array(INDEX + 1) };
    const lane = {
      command: () => {
        watches++;
      },
    };
    backlog = new Backlog(lane, outgoing);
  });

  /** What so many sends return, each in a flush of its own unless told otherwise. */
  function send(count, { together = false } = {}) {
    return Array.from({ length: count }, () => {
      if (!together) outgoing.lastFlush++;
      const status = backlog.isEmpty ? SENT : backlog.admit(socket, INDEX, 0, '');
      return backlog.sent(socket, page, INDEX, MESSAGE, status);
    });
  }

  const repeat = (value, count) => Array(count).fill(value);

  test('says 0 once more than the limit is under way, in one flush or in many', () => {
    assert.deepEqual(send(12, { together: true }), [...repeat(SENT, 10), QUEUED, QUEUED]);
    assert.equal(watches, 1);
  });

  test('begins anew when all was carried out', () => {
    for (let round = 0; round < 5; round++) {
      assert.deepEqual(send(4), repeat(SENT, 4));
      backlog.confirmed = outgoing.lastFlush;
    }
    assert.equal(watches, 0);
  });

  test('says 1 to one who never rests, as long as the answers come in time', () => {
    for (let round = 0; round < 50; round++) {
      assert.deepEqual(send(6), repeat(SENT, 6), `round ${round}`);
      if (watches > 0) assert.equal(backlog.drained(page, INDEX, 0), false, 'nobody waits for it');
      watches = 0;
    }
  });

  test('tells the drain to who got a 0, and forgets what was sent before it was asked for', () => {
    assert.equal(send(11).at(-1), QUEUED);
    assert.equal(backlog.drained(page, INDEX, 0), true);
    // The question was written behind the sixth of eleven.
    assert.equal(backlog.asked(page, INDEX), 500);
    assert.deepEqual(send(6), [...repeat(SENT, 5), QUEUED]);
  });

  test('a drain of what was known to wait is no answer: what is under way still counts', () => {
    send(1);
    backlog.grew(INDEX, 5_000);
    backlog.confirmed = outgoing.lastFlush;
    assert.deepEqual(backlog.asked(page, INDEX), 5_000);
    backlog.drained(page, INDEX, 900);
    assert.deepEqual(send(10), repeat(QUEUED, 10));
    assert.equal(backlog.drained(page, INDEX, 0), true);
    assert.equal(backlog.asked(page, INDEX), 1_000);
    assert.deepEqual(send(1), [QUEUED]);
  });

  test('an answer that comes behind the confirmation takes nothing away', () => {
    send(6);
    assert.equal(watches, 1);
    backlog.confirmed = outgoing.lastFlush;
    assert.deepEqual(send(3), repeat(SENT, 3));
    backlog.drained(page, INDEX, 0);
    assert.equal(backlog.asked(page, INDEX), 300);
  });

  test('a place that is given up leaves nothing behind', () => {
    send(11);
    backlog.grew(INDEX, 100);
    backlog.forget(INDEX);
    assert.ok(backlog.isEmpty);
    page.unconfirmed[INDEX] = 0;
    backlog.confirmed = outgoing.lastFlush;
    assert.deepEqual([backlog.asked(page, INDEX), send(1)[0]], [0, SENT]);
  });
});
