//! Scripts about the worker itself: sessions, subscriptions, catching up, the registry.

mod catching_up;
mod connecting;
mod consumers;
mod crowding;
mod cursor;
mod everyone;
mod heartbeat;
mod pausing;
mod registry;
mod simulation;
mod subscribing;
mod walking;
