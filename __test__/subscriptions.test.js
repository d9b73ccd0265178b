'use strict';

const assert = require('node:assert/strict');
const { describe, test } = require('node:test');
const { Subscriptions } = require('../lib/subscriptions');

/** The topics of a connection, the newest first. */
function topicsOf(subscriptions, connection) {
  const topics = [];
  for (let id = subscriptions.first(connection); id !== -1; id = subscriptions.next(id)) {
    topics.push(subscriptions.topic(id));
  }
  return topics;
}

describe('lib/subscriptions.js', () => {
  test('behaves like a map of sets, while its table grows', () => {
    const subscriptions = new Subscriptions();
    /** @type {Map<number, Map<number, number>>} */
    const model = new Map();
    let state = 0x2545_f491;
    const pick = (below) => {
      state ^= state << 13;
      state ^= state >>> 17;
      state ^= state << 5;
      return (state >>> 0) % below;
    };
    let size = 0;
    for (let step = 0; step < 60_000; step++) {
      const connection = pick(40) * 511;
      const topic = pick(400);
      const topics = model.get(connection) ?? new Map();
      model.set(connection, topics);
      const id = subscriptions.find(connection, topic);
      assert.equal(id, topics.get(topic) ?? -1);
      if (id === -1) {
        topics.set(topic, subscriptions.add(connection, topic));
        size++;
      } else if (pick(step < 30_000 ? 4 : 1) === 0) {
        subscriptions.remove(id);
        topics.delete(topic);
        size--;
      }
      assert.equal(subscriptions.size, size);
    }
    for (const [connection, topics] of model) {
      assert.deepEqual(topicsOf(subscriptions, connection).reverse(), [...topics.keys()]);
    }
    const numbers = [...model.values()].flatMap((topics) => [...topics.values()]);
    assert.equal(new Set(numbers).size, size);
    assert.ok(size > 2_048, 'the table has grown more than once');
  });

  test('numbers begin anew behind the last one, and those given back are used first', () => {
    const subscriptions = new Subscriptions();
    for (let round = 0; round < 3; round++) {
      const count = 5_000;
      for (let number = 0; number < count; number++) assert.equal(subscriptions.add(number, round), number);
      subscriptions.remove(17);
      subscriptions.remove(4_999);
      assert.equal(subscriptions.add(9_999, 9), 4_999);
      assert.equal(subscriptions.add(9_999, 8), 17);
      assert.deepEqual(topicsOf(subscriptions, 9_999), [8, 9]);
      for (let number = 0; number < count; number++) subscriptions.remove(number);
      assert.deepEqual(
        [subscriptions.size, subscriptions.find(1, round), subscriptions.first(1)],
        [0, -1, -1],
      );
    }
  });
});
