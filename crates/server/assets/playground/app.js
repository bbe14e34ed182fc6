// The playground: asks the server what it offers, opens both sides on one channel, and the map.
// Its settings live in the page's own URL, so that a link is a set-up.

import { copy } from './dom.js';
import { EventSourceLink, WebSocketLink, streamUrl } from './links.js';
import { Panel, typeList } from './panel.js';
import { Quakes } from './quakes.js';
import { broadcast, listen } from './snippets.js';

const DEFAULTS = { channel: 'playground', user: '', types: 'chat, update', format: 'data' };
/** The map shows this channel: `?feed=` names another, for feeds from outside. */
const FEED = new URLSearchParams(location.search).get('feed') || 'earthquakes';
const SECOND_USERS = ['ada', 'grace'];

/** What the server offers; where it does not say, both providers in their usual places. */
async function serverInfo() {
  const fallback = { websocket: { enabled: true, path: '/ws' }, sse: { enabled: true, path: '/sse' } };
  try {
    const response = await fetch('/api/info');
    if (!response.ok) return { providers: fallback };
    const info = await response.json();
    return { ...info, providers: { ...fallback, ...info.providers } };
  } catch {
    return { providers: fallback };
  }
}

function drawInfo({ version, dev, provider }) {
  const parts = [version && `version ${version}`, dev && 'dev mode: loopback only, everything allowed', provider && `default provider ${provider}`];
  document.getElementById('info').textContent = parts.filter(Boolean).join(' · ') || 'connected';
}

function settingsFromUrl() {
  const query = new URLSearchParams(location.search);
  return Object.fromEntries(Object.entries(DEFAULTS).map(([name, value]) => [name, query.get(name) ?? value]));
}

function urlOf(settings) {
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries(settings)) if (value !== DEFAULTS[name]) query.set(name, value);
  if (FEED !== 'earthquakes') query.set('feed', FEED);
  return `/${query.size ? `?${query}` : ''}`;
}

function apply(settings, panels) {
  const options = {
    channels: settings.channel ? [settings.channel] : [],
    userId: settings.user,
    types: typeList(settings.types),
    format: settings.format,
  };
  for (const panel of panels) panel.open(options);
  history.replaceState(null, '', urlOf(settings));
  const other = SECOND_USERS.find((name) => name !== settings.user);
  const second = document.getElementById('second');
  second.href = urlOf({ ...settings, user: other });
  second.textContent = `Open as ${other}`;
  const message = { ...(settings.channel && { channel: settings.channel }), type: 'chat', data: { text: 'hello from curl' } };
  document.getElementById('terminal-send').textContent = broadcast(message);
  document.getElementById('terminal-listen').textContent = listen(streamUrl('/sse', { ...options, format: '' }));
}

function setUpSettings(panels) {
  const form = document.getElementById('settings');
  const settings = settingsFromUrl();
  for (const [name, value] of Object.entries(settings)) form.elements[name].value = value;
  form.addEventListener('submit', (event) => {
    event.preventDefault();
    apply(Object.fromEntries(new FormData(form)), panels);
  });
  apply(settings, panels);
}

function setUpTerminal() {
  for (const button of document.querySelectorAll('[data-copy]')) {
    button.addEventListener('click', async () => {
      button.textContent = (await copy(document.getElementById(button.dataset.copy).textContent)) ? 'Copied' : 'Select and copy';
      setTimeout(() => { button.textContent = 'Copy'; }, 1500);
    });
  }
}

async function setUpQuakes({ providers, provider }) {
  const { path } = await (await fetch('/playground/land.json')).json();
  const preferSse = provider === 'sse' || !providers.websocket.enabled;
  const useSse = providers.sse.enabled && preferSse;
  if (!useSse && !providers.websocket.enabled) return;
  const Kind = useSse ? EventSourceLink : WebSocketLink;
  let quakes = null;
  const link = new Kind((useSse ? providers.sse : providers.websocket).path, {
    onState: (state) => quakes.state(state),
    onFrame: (entry) => quakes.frame(entry),
  });
  quakes = new Quakes(link, FEED, path);
  await quakes.open();
}

const info = await serverInfo();
drawInfo(info);
const panels = [
  new Panel({ name: 'websocket', title: 'WebSocket', example: 'hello from the WebSocket', Kind: WebSocketLink, provider: info.providers.websocket }),
  new Panel({ name: 'sse', title: 'EventSource', example: 'hello from the EventSource', Kind: EventSourceLink, provider: info.providers.sse }),
];
document.getElementById('panels').append(...panels.map((panel) => panel.element));
setUpTerminal();
setUpSettings(panels);
await setUpQuakes(info);
