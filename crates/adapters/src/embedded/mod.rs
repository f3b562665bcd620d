//! The built-in engines: event store, change feed, critical events, reports, checkpoints and `system.*` in one fjall database.
