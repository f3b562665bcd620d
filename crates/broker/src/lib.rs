//! wip

pub mod batch;
pub mod coordinator;
mod log;
mod server;
mod settings;
pub mod wire;

pub use log::Log;
pub use server::Server;
pub use settings::{BrokerSettings, Durability};
