//! Every table of the pipeline over the PostgreSQL protocol (version 3.0), read-only, so that psql and reporting tools can query it.
//!
//! [`SqlServer`] binds and serves. The protocol's messages are pgwire's; statements are planned and run by DataFusion in the
//! session that the wiring hands over, of which every connection gets a copy of its own. What is ours: nothing but reading is let through
//! ([`statements`](self)), errors carry PostgreSQL's SQLSTATEs, a running statement can be cancelled and has a time-out, and the settings and
//! catalog functions that clients ask for.
//!
//! Each statement reads its own snapshot, also within BEGIN and COMMIT, which are accepted and change nothing.
//! What clients ask for and don't get stands in `FINDINGS.md`.

mod cancel;
mod connection;
mod errors;
mod functions;
mod query;
mod server;
mod session;
mod settings;
mod statements;
mod variables;

pub use errors::in_words;
pub use query::refusal;
pub use server::SqlServer;
pub use settings::SqlSettings;
