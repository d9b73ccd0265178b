'use strict';

/** What JavaScript makes of a failure of the engine, played by an addon that tells what the test wants. */

const assert = require('node:assert/strict');
const { beforeEach, describe, test } = require('node:test');
const commands = require('../lib/commands');
const events = require('../lib/events');
const { HttpLane } = require('../lib/http_lane');
const { HttpRoute } = require('../lib/http_route');
const { Lane } = require('../lib/lane');
const { appOptions, routeOptions } = require('../lib/options');
const { Topics } = require('../lib/topics');

const NO_PLACE = 0xffff_ffff;
const GENERATION = 7;
const NO_ADDRESS = Buffer.alloc(2);

/** The addon's `Engine`, as far as a lane uses it. */
class Played {
  /** @type {[index: number, kind: number, flags: number, payload: Buffer][]} */
  waiting = [];
  /** The kinds of the commands that came, and whom they were for. */
  obeyed = [];
  reported = [];

  exchange(_lane, buffer, bytes, descriptors, slab, offset) {
    this.push(_lane, buffer, bytes);
    const batch = this.waiting.splice(0);
    let at = offset;
    for (const [number, [index, kind, flags, payload]] of batch.entries()) {
      const tag = (((index === NO_PLACE ? 0 : GENERATION) << 16) | (flags << 8) | kind) >>> 0;
      descriptors.set([index, tag, at, payload.length], number * events.DESCRIPTOR_WORDS);
      slab.set(payload, at);
      at += payload.length;
    }
    descriptors.set([at - offset, 0], descriptors.length - events.TRAILER_WORDS);
    return batch.length;
  }

  push(_lane, buffer, bytes) {
    const view = new DataView(buffer.buffer, buffer.byteOffset, bytes);
    for (let at = 0; at < bytes; ) {
      this.obeyed.push([view.getUint8(at), view.getUint32(at + 4, true)]);
      at += 12 + ((view.getUint32(at + 8, true) + 3) & ~3);
    }
  }

  report(error) {
    this.reported.push(error);
  }
}

const turn = (lane) => {
  lane.settle();
  lane.turn(1_000, Number.POSITIVE_INFINITY);
  lane.flush();
};

/** What is told of a failure. */
const failed = (what, text) => [NO_PLACE, events.FAILED, what, Buffer.from(text)];
const arrival = (index, kind, route, head = '') => [
  index,
  kind,
  events.FAMILY_NONE,
  Buffer.concat([Buffer.from([route, 0]), NO_ADDRESS, Buffer.from(head)]),
];

describe('a reactor that has failed', () => {
  let native;
  let told;
  let topics;
  let lane;
  let sockets;

  beforeEach(() => {
    native = new Played();
    told = [];
    sockets = [];
    topics = new Topics();
    const behavior = {
      textType: 'string',
      open: (ws) => {
        sockets.push(ws);
        ws.subscribe('all');
      },
      upgrade: (res) => {
        res.onAborted(() => told.push('aborted'));
      },
      close: (ws, code, reason) => {
        told.push([sockets.indexOf(ws), code, Buffer.from(reason).toString(), ws.closeCause]);
        if (sockets.indexOf(ws) === 1) throw new Error('in a close handler');
      },
    };
    const settings = { ...routeOptions('/*', behavior, appOptions()), pattern: '/*', isSecure: false };
    lane = new Lane(native, 0, [settings], topics);
    lane.failed = (error) => told.push(error);
    topics.lanes = [lane.topics];
    native.waiting = [0, 1, 1_500].map((index) => arrival(index, events.OPEN, 0));
    native.waiting.push(arrival(3, events.REQUEST, 0, 'GET\n/\n'));
    turn(lane);
    assert.equal(lane.live, 4);
    assert.equal(topics.find('all').subscribers, 3);
    native.obeyed = [];
  });

  test('closes each socket once, aborts each request, and is told first', () => {
    native.waiting = [failed(events.FAILED_REACTOR, '3\nsrc/a.rs:1:2\nindex out of bounds\nmore')];
    turn(lane);
    const [error, ...rest] = told;
    assert.equal(error.code, 'TIDEWIRE_REACTOR_FAILED');
    assert.deepEqual([error.reactor, error.connections, error.place], [0, 3, 'src/a.rs:1:2']);
    assert.match(
      error.message,
      /^Reactor 0 of the App has failed, .*: index out of bounds\nmore \(src\/a\.rs:1:2\);/s,
    );
    assert.deepEqual(rest, [
      'aborted',
      ...[0, 1, 2].map((number) => [number, 1011, 'internal error', 'failure']),
    ]);
    assert.deepEqual(
      native.reported.map(({ message }) => message),
      ['in a close handler'],
    );
    assert.equal(lane.live, 0);
    assert.equal(topics.size, 0);
    assert.equal(lane.topics.size, 0);
    const released = native.obeyed.filter(([kind]) => kind === commands.RELEASE).map(([, index]) => index);
    assert.deepEqual(released, [3, 0, 1, 1_500]);
    for (const ws of sockets) assert.throws(() => ws.send('x'), { code: 'TIDEWIRE_CLOSED' });
  });

  test('serves those that come behind it', () => {
    native.waiting = [
      failed(events.FAILED_REACTOR, '3\nsrc/a.rs:1:2\nbroken'),
      arrival(0, events.OPEN, 0),
      [1, events.MESSAGE, 0, Buffer.from('of one that is closed')],
    ];
    turn(lane);
    assert.equal(sockets.length, 4);
    assert.equal(lane.live, 1);
    assert.equal(sockets[3].readyState, 1);
    assert.equal(topics.find('all').subscribers, 1);
  });

  test('waits for what handlers have left to microtasks', () => {
    native.waiting = [
      [0, events.MESSAGE, 0, Buffer.from('x')],
      failed(events.FAILED_REACTOR, '3\nsrc/a.rs:1:2\nbroken'),
    ];
    turn(lane);
    assert.deepEqual(told, []);
    assert.ok(lane.mustSettle);
    turn(lane);
    assert.equal(told.length, 5);
  });

  test('of the gate it tells alone', () => {
    native.waiting = [
      failed(events.FAILED_GATE, '0\nsrc/b.rs:1:2\nbroken'),
      failed(events.FAILED_CONNECTION, '0\nsrc/c.rs:1:2\nbroken'),
    ];
    turn(lane);
    turn(lane);
    assert.deepEqual(
      told.map(({ code }) => code),
      ['TIDEWIRE_GATE_FAILED', 'TIDEWIRE_CONNECTION_FAILED'],
    );
    assert.equal(lane.live, 4);
  });
});

test('a gate that has failed has forgotten every request', () => {
  const native = new Played();
  const told = [];
  const route = new HttpRoute('get', '/', (res) => {
    res.onAborted(() => told.push('aborted'));
  });
  const lane = new HttpLane(native, 1, [route], []);
  native.waiting = [0, 2].map((index) => arrival(index, events.REQUEST, 0, 'GET\n/\n'));
  turn(lane);
  assert.equal(lane.live, 2);
  native.waiting = [failed(events.FAILED_GATE, ''), arrival(0, events.REQUEST, 0, 'GET\n/\n')];
  turn(lane);
  assert.deepEqual(told, ['aborted', 'aborted']);
  assert.equal(lane.live, 1);
  assert.deepEqual(native.reported, []);
});
