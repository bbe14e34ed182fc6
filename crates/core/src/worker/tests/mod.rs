//! Scripts about the worker itself: sessions, subscriptions, catching up, the registry.

mod away;
mod catching_up;
mod connecting;
mod consumers;
mod crowding;
mod cursor;
mod everyone;
mod heartbeat;
mod inbox;
mod pausing;
mod registry;
mod simulation;
mod store;
mod subscribing;
mod walking;
