//! wip

pub mod batch;
mod log;
mod settings;

pub use log::Log;
pub use settings::{BrokerSettings, Durability};
