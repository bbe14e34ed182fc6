//! Rules of Realtime Connector: sessions, channels, publish, history, without clock, socket, thread or JSON.
