'use strict';

const assert = require('node:assert/strict');
const { spawn } = require('node:child_process');
const { once } = require('node:events');
const { closeSync, mkdtempSync, openSync, readFileSync, rmSync } = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const { test } = require('node:test');
const { build, load } = require('../../../bench/client');
const { runBehind, runScript } = require('../../support/child');
const { connect } = require('../../support/client');
const { lacking } = require('../../support/requirements');

const ROOT = path.join(__dirname, '../../..');
const LONG = { timeout: 300_000, skip: lacking('linux') };

const pause = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));

/** How long the server may take to close all. What else runs on the machine may spoil some of the tries. */
const CLOSED_SECONDS = 2;
const TRIES = 3;

/** An echo that ends by SIGTERM, and tells then what it took of each client that talks. */
function orderly() {
  const { App, us_socket_local_port } = require('tidewire');
  const tell = (value) => console.log(JSON.stringify(value));
  const app = App({ threads: 2 });
  const taken = [];
  const wrong = [];
  let open = 0;
  let messagesIn = 0;
  app.ws('/*', {
    maxBackpressure: 0,
    // No pings: clients know each message that they are to get.
    idleTimeout: 0,
    open: () => open++,
    message: (ws, message, isBinary) => {
      // As the load client writes it: the number of the message, and that of the client.
      const head = new DataView(message);
      const [number, client] = [Number(head.getBigUint64(0, true)), head.getUint32(8, true)];
      taken[client] ??= 0;
      if (number !== taken[client]++) wrong.push(`${number} of client ${client}, not ${taken[client] - 1}`);
      ws.send(message, isBinary);
    },
    close: () => {
      // An App that has ended has no engine to ask.
      if (--open === 0) messagesIn = app.stats().messagesIn;
    },
  });
  process.once('SIGTERM', async () => {
    const began = performance.now();
    const { closed, forced, aborted } = await app.shutdown({ timeout: 60 });
    tell({
      closed,
      forced,
      aborted,
      open,
      milliseconds: performance.now() - began,
      wrong,
      taken,
      messagesIn,
    });
  });
  app.listen('0.0.0.0', 0, (token) => tell(us_socket_local_port(token)));
}

/** SIGTERM under load, once: in how many seconds all were closed. */
async function ended(context) {
  const [CLIENTS, TALKING, IN_FLIGHT] = [10_000, 500, 20];
  const { load: program } = build();
  const child = runScript(context, orderly);
  const server = { port: await child.value(), pid: child.process.pid };
  const options = Object.entries({ connections: CLIENTS, talking: TALKING, 'in-flight': IN_FLIGHT });
  const words = options.flatMap(([name, value]) => [`--${name}`, String(value)]);
  // It sends SIGTERM while they talk, verifies each answer, answers each close frame, and fails if one has another
  // status than 1001, or none.
  const found = await load(program, ['shutdown', ...words], server, { seconds: 60 });
  const { taken, wrong, milliseconds, messagesIn, ...counts } = await child.value();
  context.diagnostic(
    JSON.stringify({
      scenario: 'SIGTERM',
      clients: CLIENTS,
      ...counts,
      milliseconds,
      closedSeconds: found.closedSeconds,
      closedP50Micros: found.closedMicros.p50,
      answersBefore: found.answersBefore,
      answers: found.answers,
      messagesIn,
    }),
  );
  assert.deepEqual(wrong, []);
  assert.deepEqual(found.faults, { lost: 0, duplicated: 0, disordered: 0, corrupt: 0 });
  assert.ok(found.answersBefore > 0, 'nobody talked');
  assert.deepEqual(found.answered.split(' ').map(Number), taken);
  // What the engine has read JavaScript got, too.
  assert.equal(
    taken.reduce((sum, count) => sum + count, 0),
    messagesIn,
  );
  assert.deepEqual([found.closed, found.reset], [CLIENTS, 0]);
  assert.deepEqual(counts, { closed: CLIENTS, forced: 0, aborted: 0, open: 0 });
  assert.deepEqual(await child.exited, { code: 0, signal: null });
  return found.closedSeconds;
}

test('SIGTERM under load: each of 10,000 is closed with 1001, and every message that was taken is answered', {
  ...LONG,
  skip: lacking('linux', 'cargo'),
}, async (context) => {
  const seconds = [];
  do seconds.push(await ended(context));
  while (seconds.at(-1) >= CLOSED_SECONDS && seconds.length < TRIES);
  assert.ok(seconds.at(-1) < CLOSED_SECONDS, `it took ${seconds.join(', ')} s`);
});

/** Has a listener of each kind and connections, and starts programs; tells what those inherit. */
async function parent() {
  const { spawn } = require('node:child_process');
  const { readdirSync, readFileSync, readlinkSync } = require('node:fs');
  const { tmpdir } = require('node:os');
  const { join } = require('node:path');
  /** What lies behind the descriptors of a program that is started, besides the standard ones. */
  const inheritance = async () => {
    const child = spawn('/bin/sh', ['-c', 'ls -l /proc/$$/fd'], { stdio: ['ignore', 'pipe', 'ignore'] });
    let listing = '';
    for await (const piece of child.stdout) listing += piece;
    return [...listing.matchAll(/ (\d+) -> (.*)$/gm)]
      .filter(([, fd]) => fd > 2)
      .map(([, , target]) => target);
  };
  // Of the program that started this one.
  const before = new Set([...(await inheritance()), ...readdirSync('/proc/self/fd')]);
  const { App, SSLApp, us_socket_local_port } = require('tidewire');
  const { localhost } = require('./__test__/support/certificates');
  const { key, cert } = localhost();
  const tell = (value) => console.log(JSON.stringify(value));
  const echo = { message: (ws, message, isBinary) => ws.send(message, isBinary) };
  const app = App({ threads: 2 }).ws('/*', echo);
  const secure = SSLApp({ key, cert }).ws('/*', echo);
  await secure.listen('127.0.0.1', 0);
  await app.listen_unix(join(tmpdir(), `tidewire-${process.pid}.sock`));
  tell(us_socket_local_port(await app.listen('127.0.0.1', 0)));
  process.stdin.once('data', async () => {
    const inherited = new Set();
    for (let started = 0; started < 100; started++) {
      for (const target of await inheritance()) if (!before.has(target)) inherited.add(target);
    }
    const own = [];
    for (const fd of readdirSync('/proc/self/fd').filter((fd) => !before.has(fd))) {
      try {
        const [, flags] = /^flags:\s+(\d+)$/m.exec(readFileSync(`/proc/self/fdinfo/${fd}`, 'utf8'));
        own.push([readlinkSync(`/proc/self/fd/${fd}`), (Number.parseInt(flags, 8) & 0o2000000) !== 0]);
      } catch {
        // The listing's own, or a client that has gone.
      }
    }
    tell({ inherited: [...inherited], own, opened: app.stats().opened });
    app.close();
    secure.close();
  });
}

test('programs that are started inherit no descriptor, while clients come and go', LONG, async (context) => {
  const child = runScript(context, parent);
  const url = `ws://127.0.0.1:${await child.value()}`;
  const stay = await Promise.all(Array.from({ length: 20 }, () => connect(context, url)));
  let isOver = false;
  const churn = Array.from({ length: 4 }, async () => {
    while (!isOver) {
      const client = await connect(context, url).catch(() => undefined);
      client?.socket.close();
      await client?.closed;
    }
  });
  child.process.stdin.write('!');
  const { inherited, own, opened } = await child.value();
  isOver = true;
  await Promise.all(churn);
  assert.ok(opened > 2 * stay.length, 'nobody came meanwhile');
  assert.deepEqual(inherited, []);
  const kinds = new Set(own.map(([target]) => target.replace(/\d+/g, '')));
  for (const kind of ['socket:[]', 'anon_inode:[eventpoll]', 'anon_inode:[eventfd]']) {
    assert.ok(kinds.has(kind), `none of ${[...kinds]} is ${kind}`);
  }
  assert.deepEqual(
    own.filter(([, closesOnExec]) => !closesOnExec),
    [],
  );
  child.process.kill('SIGKILL');
});

/** Clients that have each said a part of a message. */
async function stutter({ port, count }) {
  const { BINARY, connectRaw, frame } = require('./__test__/support/raw_client');
  const message = frame(BINARY, Buffer.alloc(200_000, 'm'));
  const clients = await Promise.all(
    Array.from({ length: count }, () => connectRaw({ after: () => {} }, port)),
  );
  for (const [at, { socket }] of clients.entries()) {
    // Within the head, within the payload, and behind a whole message.
    const cut = [3, 8, 20_000, 150_000][at % 4];
    await new Promise((resolve) => socket.write(message.subarray(0, cut), resolve));
  }
  console.log('"cut"');
}

test('clients that are killed in the middle of a message leave nothing behind', LONG, async (context) => {
  const [PROCESSES, EACH, ROUNDS] = [4, 250, 5];
  const child = runScript(
    context,
    () => {
      const { App, us_socket_local_port } = require('tidewire');
      const app = App();
      const counts = { opened: 0, messages: 0, codes: {} };
      app.ws('/*', {
        maxPayloadLength: 1 << 20,
        open: () => counts.opened++,
        message: (ws, message, isBinary) => {
          counts.messages++;
          ws.send(message, isBinary);
        },
        close: (ws, code) => {
          const key = `${code} ${ws.closeCause === 'fin' ? 'fin' : 'reset'}`;
          counts.codes[key] = (counts.codes[key] ?? 0) + 1;
        },
      });
      process.stdin.on('data', () => {
        global.gc();
        const resident = process.memoryUsage.rss();
        console.log(JSON.stringify({ ...counts, resident, stats: app.stats() }));
      });
      app.listen('127.0.0.1', 0, (token) => console.log(us_socket_local_port(token)));
    },
    null,
    ['--expose-gc'],
  );
  const port = await child.value();
  const stats = () => child.ask();
  const statsWhen = (wanted) => child.askUntil(wanted);
  const bystander = await connect(context, `ws://127.0.0.1:${port}`);
  const { resident: before } = await stats();
  const residents = [];
  for (let round = 1; round <= ROUNDS; round++) {
    const killed = Array.from({ length: PROCESSES }, () =>
      runScript(context, stutter, { port, count: EACH }),
    );
    for (const client of killed) assert.equal(await client.value(), 'cut');
    await statsWhen(({ opened }) => opened === 1 + round * PROCESSES * EACH);
    for (const client of killed) client.process.kill('SIGKILL');
    const gone = (codes) =>
      Object.entries(codes).reduce((sum, [key, count]) => sum + (key.startsWith('1006 ') ? count : 0), 0);
    const { resident, stats } = await statsWhen(({ codes }) => gone(codes) === round * PROCESSES * EACH);
    assert.equal(stats.connections, 1);
    assert.equal(stats.waiting.outboxBytes, 0);
    residents.push(resident);
    bystander.send(`round ${round}`);
    assert.equal(await bystander.text(), `round ${round}`);
  }
  // What a burst took is given back some ticks behind it. The limit of time is the test's.
  const { messages, resident: after } = await statsWhen(({ resident }) => resident < before + 20e6);
  context.diagnostic(
    JSON.stringify({ scenario: 'kill -9', clients: PROCESSES * EACH, before, residents, after }),
  );
  assert.equal(messages, ROUNDS, 'a part of a message was taken for a whole one');
});

/** An echo that says much, and tells its port by IPC. */
function chatty() {
  const { App, us_socket_local_port } = require('tidewire');
  const app = App();
  app.ws('/*', {
    // An unknown option: a warning on standard error.
    unheardOf: true,
    message: (ws, message, isBinary) => {
      console.log('x'.repeat(10_000));
      console.error('y'.repeat(10_000));
      ws.send(message, isBinary);
    },
  });
  app.listen('127.0.0.1', 0, (token) => process.send(us_socket_local_port(token)));
}

/** Standard output and standard error of that, and how to get there. */
const OUTPUTS = {
  'a full disk': () => {
    const full = openSync('/dev/full', 'w');
    return { stdio: [full, full], begun: () => closeSync(full) };
  },
  'pipes that nobody reads any more': () => ({
    stdio: ['pipe', 'pipe'],
    begun: (child) => {
      child.stdout.destroy();
      child.stderr.destroy();
    },
  }),
};

for (const [name, make] of Object.entries(OUTPUTS)) {
  test(`output to ${name} disturbs no client`, LONG, async (context) => {
    const { stdio, begun } = make();
    // Whoever writes there gets an error of the stream, which ends a process that does not listen for it: Node's own.
    const listening = "for (const out of [process.stdout, process.stderr]) out.on('error', () => {});";
    const child = spawn(process.execPath, ['-e', `${listening}(${chatty})()`], {
      cwd: ROOT,
      stdio: ['ignore', ...stdio, 'ipc'],
    });
    context.after(() => child.kill('SIGKILL'));
    begun(child);
    const [port] = await once(child, 'message');
    await assertEchoes(context, `ws://127.0.0.1:${port}`);
    assert.equal(child.exitCode, null);
  });
}

test('closed standard descriptors disturb no client', LONG, async (context) => {
  const folder = mkdtempSync(path.join(os.tmpdir(), 'tidewire-'));
  context.after(() => rmSync(folder, { recursive: true }));
  const file = path.join(folder, 'port');
  const script = `process.send = (port) => require('node:fs').writeFileSync(${JSON.stringify(file)}, port + '\\n');(${chatty})()`;
  const child = spawn('/bin/sh', ['-c', 'exec "$0" -e "$1" 0<&- 1>&- 2>&-', process.execPath, script], {
    cwd: ROOT,
  });
  context.after(() => child.kill('SIGKILL'));
  let text = '';
  while (!text.endsWith('\n')) {
    await pause(20);
    assert.equal(child.exitCode, null);
    text = readFileSync(file, { encoding: 'utf8', flag: 'a+' });
  }
  await assertEchoes(context, `ws://127.0.0.1:${Number(text)}`);
});

async function assertEchoes(context, url) {
  const clients = await Promise.all(Array.from({ length: 20 }, () => connect(context, url)));
  for (let number = 0; number < 20; number++) {
    for (const client of clients) client.send(`message ${number}`);
    for (const client of clients) assert.equal(await client.text(), `message ${number}`);
  }
}

/** Listens with many threads, and with one. `mebibytes`: of address space, beyond what there is before. */
function greedy(mebibytes) {
  const { App } = require('tidewire');
  if (mebibytes !== null) {
    const [, used] = /^VmSize:\s+(\d+)/m.exec(require('node:fs').readFileSync('/proc/self/status', 'utf8'));
    const most = (Number(used) + mebibytes * 1024) * 1024;
    require('node:child_process').execFileSync('prlimit', ['--pid', String(process.pid), `--as=${most}`]);
  }
  const outcomes = [64, 1].map((threads) => {
    const app = App({ threads }).ws('/*', {});
    try {
      let listens = false;
      app.listen('127.0.0.1', 0, (token) => {
        listens = Boolean(token);
      });
      app.close();
      return listens;
    } catch ({ code, syscall, message }) {
      return { code, syscall, message };
    }
  });
  console.log(JSON.stringify(outcomes));
}

/** A code, and what to do. */
function assertRefusal({ code, syscall, message }) {
  assert.deepEqual([code, syscall], ['EAGAIN', 'start']);
  assert.match(message, /threads cannot be started: .*: use fewer `threads`$/);
}

test('without room for the threads of an App, listen says so, and one with fewer works', {
  ...LONG,
  skip: lacking('linux', 'root', 'prlimit'),
}, async (context) => {
  // The limit is on a user's threads: of one that nobody is, since root has none.
  const command = ['setpriv', '--reuid', '54321', '--clear-groups', 'prlimit', '--nproc=24:24'];
  const [refused, listens] = await runBehind(context, command, greedy).value();
  assertRefusal(refused);
  assert.equal(listens, true);
});

test('without address space for the stack of a thread, listen says so', {
  ...LONG,
  skip: lacking('linux', 'prlimit'),
}, async (context) => {
  // Stacks of a tebibyte, and a gibibyte of room: all else finds its place. How a process ends that has no room for
  // anything is the C library's and V8's choice.
  const command = ['env', `RUST_MIN_STACK=${2 ** 40}`];
  for (const refused of await runBehind(context, command, greedy, 1_024).value()) assertRefusal(refused);
});
