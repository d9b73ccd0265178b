'use strict';

/**
 * An App in a worker thread, for the length of one test. It greets each client with its name, echoes, and
 * ends by itself when nothing is left to serve.
 */

const { once } = require('node:events');
const { Worker, isMainThread, parentPort, workerData } = require('node:worker_threads');

class WorkerApp {
  /** @param {Worker} worker */
  constructor(worker) {
    this.worker = worker;
    /** @type {Promise<number>} its exit code */
    this.exited = new Promise((resolve) => worker.on('exit', resolve));
  }

  /**
   * Has the App close or take a child, or the thread exit, or asks for the App's descriptor or statistics.
   * @param {'close' | 'add' | 'exit' | 'descriptor' | 'stats'} what
   * @param {number} [descriptor] the child's
   */
  async ask(what, descriptor) {
    this.worker.postMessage([what, descriptor]);
    const [answer] = await once(this.worker, 'message');
    return answer;
  }
}

/**
 * Starts one. With a port it listens there, and `answer` is the port that was bound; without one, `answer`
 * is its descriptor.
 * @param {import('node:test').TestContext} context
 * @param {string} name
 * @param {number} [port] 0 picks one
 */
async function startWorker(context, name, port) {
  const worker = new Worker(__filename, { workerData: { name, port } });
  context.after(() => worker.terminate());
  const app = new WorkerApp(worker);
  const [answer] = await once(worker, 'message');
  return Object.assign(app, { answer });
}

function run({ name, port }) {
  const { App, us_socket_local_port } = require('tidewire');
  const app = App();
  app.ws('/*', {
    open: (ws) => ws.send(name),
    message: (ws, message, isBinary) => ws.send(message, isBinary),
  });
  const asked = {
    close: () => app.close() && null,
    add: (descriptor) => app.addChildAppDescriptor(descriptor) && null,
    exit: () => process.exit(3),
    descriptor: () => app.getDescriptor(),
    stats: () => app.stats(),
  };
  parentPort.on('message', ([what, descriptor]) => parentPort.postMessage(asked[what](descriptor)));
  // Only the App keeps the thread alive.
  parentPort.unref();
  if (port === undefined) parentPort.postMessage(app.getDescriptor());
  else app.listen('127.0.0.1', port, (token) => parentPort.postMessage(token && us_socket_local_port(token)));
}

if (!isMainThread && workerData?.name !== undefined) run(workerData);

module.exports = { startWorker };
