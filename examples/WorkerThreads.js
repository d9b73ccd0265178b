'use strict';

/**
 * One port for several JavaScript threads: the main thread's App accepts, and the Apps of the workers serve, each
 * its turn. It is worth it where the handlers fill a core; `App({ threads })` is the way where the sockets do.
 */

const os = require('node:os');
const { Worker, isMainThread, parentPort, threadId } = require('node:worker_threads');
const { App, us_socket_local_port } = require('tidewire');

const port = Number(process.env.PORT ?? 9001);
const THREADS = Number(process.env.THREADS ?? os.cpus().length);

function accept() {
  const acceptor = App();
  const workers = Array.from({ length: THREADS }, () => new Worker(__filename));
  let ready = 0;
  for (const worker of workers) {
    worker.once('message', (descriptor) => {
      acceptor.addChildAppDescriptor(descriptor);
      if (++ready === THREADS) listen();
    });
  }

  function listen() {
    acceptor.listen(port, (token) => {
      if (!token) {
        console.error(`Cannot listen on port ${port}: it is in use, or not ours to take`);
        process.exitCode = 1;
        // Lets the workers go, which end by themselves then.
        acceptor.close();
        return;
      }
      console.log(`Listening on port ${us_socket_local_port(token)}`);
      process.once('SIGINT', () => {
        acceptor.close();
        for (const worker of workers) worker.terminate();
      });
    });
  }
}

function serve() {
  const app = App({ textType: 'string' });
  app.ws('/*', {
    open: (ws) => ws.send(`thread ${threadId}`),
    message: (ws, message, isBinary) => ws.send(message, isBinary),
  });
  // It needs no listener: what the main thread accepts comes here, too.
  parentPort?.postMessage(app.getDescriptor());
}

if (isMainThread) accept();
else serve();
