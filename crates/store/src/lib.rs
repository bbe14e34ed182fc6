//! Memory of Realtime Connector: the log behind every channel.
