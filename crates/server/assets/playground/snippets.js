// The last send, written so that it can be pasted: into a shell, or into a page or Node.

/** `text` as one word of a POSIX shell. */
const shellWord = (text) => `'${text.replaceAll("'", String.raw`'\''`)}'`;

/** What `curl` and JavaScript would have to say to do what `link` did with `frame`. */
export function snippets(link, frame) {
  const { op, ...fields } = frame;
  return link.url.startsWith('ws')
    ? { curl: broadcast(fields), js: webSocket(link.url, frame) }
    : { curl: uplink(link, frame), js: eventSource(link, frame) };
}

/** The same message by the HTTP API, which needs no connection. */
export function broadcast(fields) {
  return `curl --json ${shellWord(JSON.stringify(fields))} \\\n  ${shellWord(`${location.origin}/api/broadcast`)}`;
}

/** Listening without any library at all. */
export function listen(path) {
  return `curl -N ${shellWord(`${location.origin}${path}`)}`;
}

function uplink(link, frame) {
  const { connectionId, sessionToken } = link.connected;
  return [
    `curl --json ${shellWord(JSON.stringify(frame))} \\`,
    `  -H ${shellWord(`Authorization: Bearer ${sessionToken}`)} \\`,
    `  ${shellWord(`${location.origin}${link.path}/${connectionId}`)}`,
  ].join('\n');
}

function webSocket(url, frame) {
  return `const socket = new WebSocket(${JSON.stringify(url)});
socket.onmessage = (event) => {
  const frame = JSON.parse(event.data);
  console.log(frame);
  if (frame.op === 'connected') {
    socket.send(JSON.stringify(${indented(frame, 4)}));
  }
};`;
}

function eventSource(link, frame) {
  const listeners = link.options.format === 'frames' ? [] : (link.options.types ?? []);
  const begin = link.options.format === 'frames'
    ? `source.addEventListener('message', async (event) => {\n  if (JSON.parse(event.data).op !== 'connected') return;`
    : `source.addEventListener('$connected', async (event) => {`;
  return `const source = new EventSource(${JSON.stringify(link.url.replace(/([?&])lastEventId=[^&]*&?/, '$1').replace(/[?&]$/, ''))});
source.onmessage = (event) => console.log(event.data);
${listeners.map((type) => `source.addEventListener(${JSON.stringify(type)}, (event) => console.log(event.type, JSON.parse(event.data)));\n`).join('')}${begin}
  const { connectionId, sessionToken } = JSON.parse(event.data);
  const answer = await fetch(\`${location.origin}${link.path}/\${connectionId}\`, {
    method: 'POST',
    headers: { 'Authorization': \`Bearer \${sessionToken}\`, 'Content-Type': 'application/json' },
    body: JSON.stringify(${indented(frame, 4)}),
  });
  console.log(await answer.json());
});`;
}

/** JSON whose further lines start under the code around it. */
function indented(value, spaces) {
  return JSON.stringify(value, null, 2).replaceAll('\n', `\n${' '.repeat(spaces)}`);
}
