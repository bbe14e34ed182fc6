//! The `realtime-connector` program.

fn main() {}
