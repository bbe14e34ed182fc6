//! The in-process event bus.

/// Placeholder.
#[derive(Clone, Debug, Default)]
pub struct EventBus;
