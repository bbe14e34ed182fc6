//! Scripts about the worker itself: sessions, subscriptions, catching up, the registry.

mod catching_up;
mod connecting;
mod everyone;
mod heartbeat;
mod registry;
mod subscribing;
mod walking;
