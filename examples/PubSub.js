'use strict';

/**
 * Publish/subscribe. A client says `subscribe NAME`, `unsubscribe NAME` or `publish NAME MESSAGE`; a message goes
 * to all others that have subscribed to the name.
 */

const { App, us_socket_local_port } = require('tidewire');

const port = Number(process.env.PORT ?? 9001);

const app = App({ textType: 'string' });

app
  .ws('/*', {
    message: (ws, text) => {
      const [, verb, topic, message] = /^(\w+) (\S+) ?(.*)$/s.exec(String(text)) ?? [];
      switch (verb) {
        case 'subscribe':
          ws.subscribe(topic);
          ws.send(`${app.numSubscribers(topic)} subscribed to ${topic}`);
          break;
        case 'unsubscribe':
          ws.send(ws.unsubscribe(topic) ? `unsubscribed from ${topic}` : `not subscribed to ${topic}`);
          break;
        case 'publish':
          // Not to itself; `app.publish` goes to all.
          ws.send(ws.publish(topic, `${topic}: ${message}`) ? 'published' : 'nobody is there');
          break;
        default:
          ws.send('say: subscribe NAME, unsubscribe NAME, or publish NAME MESSAGE');
      }
    },
    // At the end of a connection, too: it gives up its topics by itself.
    subscription: (_ws, topic, count, before) => {
      if (count === 0) console.log(`Nobody is subscribed to ${topic} any more`);
      else if (before === 0) console.log(`Somebody is subscribed to ${topic}`);
    },
  })
  .listen(port, (token) => {
    if (!token) {
      console.error(`Cannot listen on port ${port}: it is in use, or not ours to take`);
      process.exitCode = 1;
      return;
    }
    console.log(`Listening on port ${us_socket_local_port(token)}`);
    process.once('SIGINT', () => app.close());
  });
