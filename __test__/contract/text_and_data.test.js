'use strict';

/**
 * `RecognizedString`: every argument that is text or data takes the same forms, takes `undefined` for
 * empty, and refuses anything else with the same sentence.
 */

const assert = require('node:assert/strict');
const { once } = require('node:events');
const { describe, test } = require('node:test');
const { App, us_socket_local_port } = require('tidewire');
const WebSocket = require('../support/ws');
const { connect, refusal } = require('../support/client');
const { nextClose, pair } = require('../support/pair');
const { connectRaw } = require('../support/raw_client');
const { BOUND, serve } = require('../support/server');

const SENTENCE = 'Text and data can only be passed by String, ArrayBuffer or TypedArray.';

const STRAYS = [null, 0, 1n, true, Symbol('s'), {}, [], () => {}, new String('x'), new Date()];

/** Bytes within a buffer of twelve more, so that who takes all of it is found out. */
function within(text, Kind = ArrayBuffer) {
  const bytes = Buffer.from(text);
  const buffer = new Kind(bytes.length + 12);
  new Uint8Array(buffer).fill(0x78).set(bytes, 4);
  return [buffer, 4, bytes.length];
}

/** @type {Record<string, (text: string) => any>} */
const FORMS = {
  'a string': (text) => text,
  'an ArrayBuffer': (text) => new Uint8Array(Buffer.from(text)).buffer,
  'a SharedArrayBuffer': (text) => {
    const buffer = new SharedArrayBuffer(Buffer.byteLength(text));
    new Uint8Array(buffer).set(Buffer.from(text));
    return buffer;
  },
  'a Buffer': (text) => Buffer.from(text),
  'a Uint8Array with an offset': (text) => new Uint8Array(...within(text)),
  'an Int8Array with an offset': (text) => new Int8Array(...within(text)),
  'a Uint16Array with an offset': (text) => {
    const [buffer, offset, length] = within(text);
    return new Uint16Array(buffer, offset, length / 2);
  },
  'a DataView with an offset': (text) => new DataView(...within(text)),
  'a Uint8Array of a SharedArrayBuffer': (text) => new Uint8Array(...within(text, SharedArrayBuffer)),
  'a DataView of a SharedArrayBuffer': (text) => new DataView(...within(text, SharedArrayBuffer)),
};

/** Calls that send to the client: what they do with the data, and what of it arrives. */
const SENDS = {
  'send, as text': (ws, data) => ws.send(data),
  'send, as binary': (ws, data) => ws.send(data, true),
  'the fragments': (ws, data) => {
    ws.sendFirstFragment(data);
    ws.sendFragment(undefined);
    ws.sendLastFragment('');
  },
  'ws.publish': (_ws, data, { other }) => other.publish('topic', data),
  'app.publish': (_ws, data, { app }) => app.publish('topic', data),
};

/** Calls with a topic: whether it is that of the name. */
const TOPICS = {
  subscribe: (ws, topic) => ws.subscribe(topic) && ws.getTopics().length === 1,
  unsubscribe: (ws, topic) => ws.unsubscribe(topic),
  isSubscribed: (ws, topic) => ws.isSubscribed(topic),
  'ws.publish': (_ws, topic, { other }) => other.publish(topic, ''),
  'app.publish': (_ws, topic, { app }) => app.publish(topic, ''),
  numSubscribers: (_ws, topic, { app }) => app.numSubscribers(topic) === 1,
};

/** Calls of a request or a response with text: what they make of it. */
const HEADS = {
  getHeader: (data) => (res, req) => res.end(req.getHeader(data('x-name'))),
  getParameter: (data) => (res, req) => res.end(req.getParameter(data('word'))),
  getQuery: (data) => (res, req) => res.end(req.getQuery(data('query1'))),
  writeHeader: (data) => (res) => res.writeHeader(data('x-answer'), data('answer')).end(),
  writeStatus: (data) => (res) => res.writeStatus(data('299 answer')).end(),
  end: (data) => (res) => res.end(data('answer')),
};

/** A socket with its client, another socket, and the App. */
async function meeting(context) {
  const one = await pair(context);
  await connect(context, one.url);
  const [, other] = await one.events.next();
  return { ...one, other };
}

describe('text and data', () => {
  for (const [form, make] of Object.entries(FORMS)) {
    test(`${form} is taken by every call that sends`, BOUND, async (context) => {
      const all = await meeting(context);
      all.ws.subscribe('topic');
      for (const [name, send] of Object.entries(SENDS)) {
        send(all.ws, make('grüße!'), all);
        assert.equal(await all.client.text(), 'grüße!', name);
      }
      all.ws.ping(make('payload.'));
      assert.equal(await all.client.pings.next(), 'payload.');
      all.ws.end(4000, make('reason'));
      assert.deepEqual(await all.client.closed, { code: 4000, reason: 'reason' });
    });

    test(`${form} is taken by every call with a topic`, BOUND, async (context) => {
      const all = await meeting(context);
      for (const [name, call] of Object.entries(TOPICS)) {
        all.ws.subscribe('topics');
        assert.equal(call(all.ws, make('topics'), all), true, name);
      }
    });

    test(`${form} is taken by every call of a request and a response`, BOUND, async (context) => {
      for (const [name, handler] of Object.entries(HEADS)) {
        const { url } = serve(context, { upgrade: handler(make) }, { pattern: '/:word' });
        const answer = await refusal(`${url}/answer?query1=answer`, { headers: { 'x-name': 'answer' } });
        assert.ok([answer.phrase, answer.body, answer.headers['x-answer']].includes('answer'), name);
      }
    });

    test(`${form} is taken as a pattern, a host and a subprotocol`, BOUND, async (context) => {
      const app = App();
      context.after(() => app.close());
      let token;
      app.ws(make('/path1'), {
        upgrade: (res, _req, handed) => res.upgrade({}, make(''), make('chat'), make(''), handed),
      });
      // Two-byte elements have no odd length.
      const host = form.includes('16') ? '127.0.0.1' : make('127.0.0.1');
      app.listen(host, 0, (given) => {
        token = given;
      });
      const socket = new WebSocket(`ws://127.0.0.1:${us_socket_local_port(token)}/path1`, ['other', 'chat']);
      context.after(() => socket.terminate());
      await once(socket, 'open');
      assert.equal(socket.protocol, 'chat');
    });
  }

  test('undefined is empty', BOUND, async (context) => {
    const { ws, app, client } = await meeting(context);
    ws.subscribe(undefined);
    assert.deepEqual(ws.getTopics(), ['']);
    assert.deepEqual([ws.isSubscribed(''), app.numSubscribers(), ws.isSubscribed()], [true, 1, true]);
    app.publish(undefined, undefined, true);
    ws.send(undefined);
    ws.send();
    const empty = Buffer.alloc(0);
    assert.deepEqual(await client.messages.take(3), [
      [empty, true],
      [empty, false],
      [empty, false],
    ]);
    ws.ping(undefined);
    assert.equal(await client.pings.next(), '');
    ws.end(undefined, undefined);
    assert.deepEqual(await client.closed, { code: 1005, reason: '' });
  });

  test('anything else throws a TypeError with the sentence', BOUND, async (context) => {
    const { ws, app, client } = await meeting(context);
    ws.subscribe('topic');
    const refused = { name: 'TypeError', message: SENTENCE, code: 'TIDEWIRE_TEXT_OR_DATA' };
    for (const stray of STRAYS) {
      const calls = [
        () => ws.send(stray),
        () => ws.send(stray, true, true),
        () => ws.sendFirstFragment(stray),
        () => ws.ping(stray),
        () => ws.end(1000, stray),
        () => ws.subscribe(stray),
        () => ws.unsubscribe(stray),
        () => ws.isSubscribed(stray),
        () => ws.publish(stray, 'x'),
        () => ws.publish('topic', stray),
        () => app.publish(stray, 'x'),
        () => app.publish('topic', stray),
        () => app.publish('nobody', stray),
        () => app.numSubscribers(stray),
      ];
      for (const call of calls)
        assert.throws(call, refused, `${call} of ${String(stray?.constructor?.name)}`);
    }
    assert.equal(ws.readyState, 1);
    ws.send('nothing before this');
    assert.equal(await client.text(), 'nothing before this');
  });

  test('anything else is refused by a request and a response, too', BOUND, async (context) => {
    const thrown = [];
    const attempt = (call) => {
      try {
        call();
      } catch ({ code, name }) {
        thrown.push([name, code]);
      }
    };
    const { port } = serve(context, {
      upgrade: (res, req, token) => {
        for (const stray of STRAYS) {
          attempt(() => req.getHeader(stray));
          attempt(() => req.getQuery(stray));
          attempt(() => res.writeStatus(stray));
          attempt(() => res.writeHeader(stray, 'x'));
          attempt(() => res.writeHeader('x', stray));
          attempt(() => res.end(stray));
          attempt(() => res.upgrade({}, stray, '', '', token));
          attempt(() => res.upgrade({}, '', stray, '', token));
          attempt(() => res.upgrade({}, '', '', stray, token));
        }
        res.upgrade({}, '', '', '', token);
      },
    });
    await connectRaw(context, port);
    assert.equal(thrown.length, STRAYS.length * 9);
    assert.ok(thrown.every(([name, code]) => name === 'TypeError' && code === 'TIDEWIRE_TEXT_OR_DATA'));
  });

  test(
    'data whose buffer was transferred has a code of its own, and nothing is sent',
    BOUND,
    async (context) => {
      const { ws, client } = await pair(context);
      const gone = (make) => {
        const buffer = new ArrayBuffer(8);
        const data = make(buffer);
        structuredClone(buffer, { transfer: [buffer] });
        return data;
      };
      const kinds = [
        (buffer) => buffer,
        (buffer) => new Uint8Array(buffer),
        (buffer) => new DataView(buffer, 2),
      ];
      for (const kind of [...kinds, (buffer) => Buffer.from(buffer)]) {
        for (const call of [
          (data) => ws.send(data, true),
          (data) => ws.publish('a', data),
          (data) => ws.ping(data),
        ]) {
          assert.throws(() => call(gone(kind)), { name: 'TypeError', code: 'TIDEWIRE_DETACHED' });
        }
      }
      ws.send(new Uint8Array(0), true);
      assert.deepEqual(await client.messages.next(), [Buffer.alloc(0), true]);
    },
  );

  test('what a handler gets can be passed back as it is', BOUND, async (context) => {
    for (const binaryType of ['arraybuffer', 'nodebuffer', 'uint8array']) {
      const { client, events } = await pair(context, {
        binaryType,
        message: (ws, data, isBinary) => ws.send(data, isBinary),
      });
      client.send('grüße');
      assert.equal(await client.text(), 'grüße');
      client.socket.close(1000, 'bye');
      assert.deepEqual(await nextClose(events), [1000, 'bye']);
    }
  });
});
