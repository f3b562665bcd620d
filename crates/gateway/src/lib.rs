//! What the outside reaches of Millstream: [`http`], the cache-aside API for websites with its status page, and [`sql`], every
//! table over the PostgreSQL protocol.
//!
//! The gateway only reads. It reaches the stores through core's ports and knows neither which adapter stands behind one nor
//! the engine that writes; the wiring hands it both the ports and, for [`sql`], a DataFusion session in which the tables are
//! registered. Only [`sql`] knows DataFusion.

pub mod http;
pub mod sql;
