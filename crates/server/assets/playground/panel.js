// One side of the playground: a link, what it says, what it counts, and a box to send with.

import { copy, make, millis, paced, refs } from './dom.js';
import { EventSourceLink } from './links.js';
import { FrameLog } from './log.js';
import { Meters } from './meters.js';
import { snippets } from './snippets.js';

const PING_MS = 5_000; // measures the round trip and keeps idle proxies awake
const FIRST_PING_MS = 1_200; // the page is busy building itself before that, which is not the server's time
const STATES = {
  idle: 'not connected', connecting: 'connecting', open: 'open', waiting: 'reconnecting', closed: 'stopped',
};

export class Panel {
  /** `Kind` is the class of the link, `example` the text the send box starts with. */
  constructor({ name, title, example, Kind, provider }) {
    const element = document.getElementById('panel').content.firstElementChild.cloneNode(true);
    this.element = element;
    this.view = refs(element);
    element.classList.add(name);
    element.id = `panel-${name}`;
    this.view.title.textContent = title;
    this.view.title.id = `${name}-title`;
    element.setAttribute('aria-labelledby', this.view.title.id);
    this.view.log.setAttribute('aria-label', `Frames of ${title}, newest first`);
    this.view.path.textContent = provider.path;
    this.enabled = provider.enabled;
    if (!provider.enabled) return this.switchedOff(name);
    this.log = new FrameLog(this.view.log);
    this.meters = new Meters(this.view);
    this.drawMeters = paced(() => this.meters.draw());
    this.link = new Kind(provider.path, { onState: (state) => this.state(state), onFrame: (entry) => this.frame(entry) });
    this.view.send.elements.data.value = JSON.stringify({ text: example });
    this.listen();
    this.state({ name: 'idle', detail: '' });
    setInterval(() => this.ping(), PING_MS);
  }

  switchedOff(name) {
    this.view.state.textContent = 'off';
    this.view.toggle.hidden = true;
    this.view.body.hidden = true;
    this.view.notice.hidden = false;
    this.view.notice.textContent = `Switched off on this server: providers.${name}.enabled is false.`;
  }

  open(options) {
    if (!this.enabled) return;
    this.options = options;
    this.meters.reset();
    this.bare = this.link instanceof EventSourceLink && options.format === 'data';
    this.view.onewayLabel.title = this.bare ? 'an event in format=data is only its data: choose frames to see the time' : '';
    this.view.onewayLabel.textContent = this.bare ? 'one way (frames)' : 'one way';
    this.link.open(options);
  }

  listen() {
    const { view } = this;
    view.toggle.addEventListener('click', () => {
      if (this.link.state === 'idle' || this.link.state === 'closed') this.link.reopen();
      else this.link.close();
    });
    view.send.addEventListener('submit', (event) => {
      event.preventDefault();
      this.publish();
    });
    view.send.addEventListener('keydown', (event) => {
      if (event.key === 'Enter' && (event.ctrlKey || event.metaKey)) view.send.requestSubmit();
    });
    view.send.elements.target.addEventListener('change', () => this.drawTarget());
    view.copyCurl.addEventListener('click', () => this.copied(view.curl));
    view.copyJs.addEventListener('click', () => this.copied(view.js));
    view.filter.addEventListener('input', () => { this.log.filter = view.filter.value; });
    view.clear.addEventListener('click', () => this.log.clear());
    view.pause.addEventListener('click', () => {
      const paused = view.pause.getAttribute('aria-pressed') !== 'true';
      view.pause.setAttribute('aria-pressed', String(paused));
      this.log.paused = paused;
    });
    view.snippet.hidden = true;
    this.drawTarget();
  }

  drawTarget() {
    const target = this.view.send.elements.target.value;
    this.view.whom.hidden = target !== 'user' && target !== 'both';
    this.view.send.elements.whom.required = !this.view.whom.hidden;
  }

  async copied(source) {
    const done = await copy(source.textContent);
    this.view.copied.textContent = done ? 'copied' : 'select the text and copy it';
  }

  state({ name, detail }) {
    const { view } = this;
    view.state.className = `chip ${name}`;
    view.state.textContent = detail && name !== 'open' ? `${STATES[name]} · ${detail}` : STATES[name];
    view.toggle.textContent = name === 'idle' || name === 'closed' ? 'Connect' : 'Disconnect';
    view.send.querySelector('button').disabled = name !== 'open';
    if (name === 'open') setTimeout(() => this.ping(), FIRST_PING_MS);
    this.drawConnection();
  }

  frame(entry) {
    const op = entry.frame?.op;
    // The page's own pings measure; in the log they would only hide what people came to see.
    if (op !== 'ping' && op !== 'pong') this.log.add(entry);
    if (entry.direction === 'out' || entry.answer) return;
    const isMessage = !entry.frame || op === 'message';
    if (isMessage) {
      const late = entry.frame?.offset && entry.frame.offset <= this.replayHead;
      this.meters.message(entry.bytes, entry.at, late ? undefined : entry.frame?.time);
      this.drawMeters();
    } else if (op === 'connected') {
      // Replayed messages are older than the connection: their age is no travel time.
      this.replayHead = entry.frame.subscriptions?.[0]?.head ?? 0;
    }
    this.drawConnection();
  }

  drawConnection = paced(() => {
    const { connected, position, cursor } = this.link;
    const row = (label, value, title = value) => make('div', {}, make('dt', { textContent: label }), make('dd', { textContent: value, title }));
    if (!connected) return this.view.connection.replaceChildren(row('connection', 'none'));
    const rows = [
      row('connectionId', connected.connectionId),
      row('user', connected.userId ?? 'anonymous'),
      row('session', connected.resumed ? 'resumed' : 'new'),
      row('heartbeat', `${connected.heartbeatMs / 1000} s`),
    ];
    if (position) rows.push(row(this.bare ? 'position on connect' : 'position', `${position.epoch}-${position.offset}`));
    if (cursor) rows.push(row('cursor (Last-Event-ID)', cursor));
    this.view.connection.replaceChildren(...rows);
  });

  async ping() {
    if (!this.link.connected || document.hidden) return;
    try {
      this.meters.answered((await this.link.send({ op: 'ping' })).ms);
      this.meters.draw();
    } catch {
      // A lost connection tells so itself; a ping that fails adds nothing.
    }
  }

  /** The fields that say whom a message is for. */
  target() {
    const { target, whom } = this.view.send.elements;
    const channel = this.options.channels[0];
    const fields = {};
    if (target.value === 'channel' || target.value === 'both') {
      if (!channel) throw new Error('choose a channel above first');
      fields.channel = channel;
    }
    if (target.value === 'user' || target.value === 'both') fields.userId = whom.value;
    return fields;
  }

  async publish() {
    const { answer, send, snippet, curl, js } = this.view;
    answer.className = '';
    try {
      const text = send.elements.data.value.trim();
      const data = text === '' ? null : JSON.parse(text);
      const frame = { op: 'publish', ...this.target(), type: send.elements.type.value, data };
      const written = snippets(this.link, frame);
      curl.textContent = written.curl;
      js.textContent = written.js;
      snippet.hidden = false;
      const result = await this.link.send(frame);
      this.meters.answered(result.ms);
      answer.textContent = accepted(result);
    } catch (error) {
      answer.className = 'alarm';
      answer.textContent = error instanceof SyntaxError ? `data is not JSON: ${error.message}` : error.message;
    }
  }
}

function accepted({ frame, ms }) {
  const parts = [`accepted in ${millis(ms)}`];
  if (frame.connections !== undefined) parts.push(`${frame.connections} connection${frame.connections === 1 ? '' : 's'}`);
  if (frame.position) parts.push(`offset ${frame.position.offset}`);
  if (frame.duplicate) parts.push('a duplicate');
  return parts.join(' · ');
}

/** "chat, update" → ["chat", "update"]. */
export const typeList = (text) => text.split(/[\s,]+/).filter(Boolean);

