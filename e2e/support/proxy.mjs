// A TCP proxy between browser and server that can cut what runs through it, as a bad network does.

import { connect, createServer } from 'node:net';

/** Listens on a free port of 127.0.0.1 and forwards to `port`. */
export async function startProxy(port) {
  const pairs = new Set();
  const heads = []; // what clients sent, for looking at request headers
  let open = true;
  const listener = createServer((client) => {
    if (!open) return client.resetAndDestroy();
    const server = connect(port, '127.0.0.1');
    const pair = [client, server];
    pairs.add(pair);
    const drop = () => {
      pairs.delete(pair);
      for (const socket of pair) socket.destroy();
    };
    for (const socket of pair) socket.on('error', drop).on('close', drop);
    client.on('data', (chunk) => heads.push(chunk.toString('latin1')));
    client.pipe(server).pipe(client);
  });
  await new Promise((resolve, reject) => listener.once('error', reject).listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${listener.address().port}`,
    /** Request heads seen so far that ask for `path`. */
    requests: (path) => heads.join('').split('\r\n\r\n').filter((head) => head.startsWith(`GET ${path}`)),
    /** Cuts everything and lets nothing new through until `mend`. */
    cut() {
      open = false;
      for (const [client] of pairs) client.resetAndDestroy();
    },
    mend() {
      open = true;
    },
    async stop() {
      open = false;
      for (const pair of pairs) for (const socket of pair) socket.destroy();
      await new Promise((resolve) => listener.close(resolve));
    },
  };
}
