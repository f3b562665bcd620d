//! What every system on the network is told in the same words: secrets, and how TLS is checked.
//!
//! Holds values only and reads files when it is asked to; it opens no connection and knows no system.

mod secret;
mod tls;

pub use secret::{Secret, SecretText};
pub use tls::TlsSettings;
