//! MySQL and MariaDB: reference tables.
//!
//! | module | holds |
//! |---|---|
//! | `settings`, `error`, `connection` | the section `[mysql]`; errors; how a connection is made |
//! | `columns`, `decode` | types, and values as Arrow columns, pure |
//! | `reference` | reference tables |
//!
//! It knows nothing of the pipeline's SQL and of flows.

mod columns;
mod connection;
mod decode;
mod error;
mod reference;
mod settings;

pub use reference::MysqlReferenceSource;
pub use settings::{MysqlSettings, ZeroDates};

use millstream_core::Result;
use mysql_async::prelude::Queryable;

use connection::Connection;

/// Connects and asks who is there. One line about it, or an error that says what to do.
pub async fn probe(settings: &MysqlSettings) -> Result<String> {
    settings.validate()?;
    let mut connection = Connection::open(settings, "trying the connection").await?;
    let answer = connection.soon(|c| Box::pin(c.query_first::<(String, Option<String>), _>("SELECT VERSION(), DATABASE()"))).await?;
    connection.close().await;
    let (version, database) = answer.unwrap_or_default();
    let system = if version.contains("MariaDB") { "MariaDB" } else { "MySQL" };
    Ok(format!("{system} {version}, database {}, may read", database.unwrap_or_default()))
}
