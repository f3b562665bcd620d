//! PostgreSQL: reports that any PostgreSQL client reads, and reference tables; directly, or through PgBouncer in transaction mode.
//!
//! | module | holds |
//! |---|---|
//! | `settings`, `error`, `pool` | the section `[postgresql]`; errors; connections and transactions |
//! | `columns`, `encode`, `decode`, `params` | types, and the binary formats, pure |
//! | `report` | a report as a table, in SQL; pure but for one look at the catalog |
//! | `report_store`, `publish`, `flows`, `scan` | the report store |
//! | `reference` | reference tables |
//!
//! It knows nothing of the pipeline's SQL, of flows or of jobs.

mod columns;
mod decode;
mod encode;
mod error;
mod flows;
mod params;
mod pool;
mod publish;
mod reference;
mod report;
mod report_snapshot;
mod report_store;
mod scan;
mod settings;

pub use pool::PostgresPool;
pub use reference::PostgresReferenceSource;
pub use report_store::PostgresReportStore;
pub use settings::PostgresSettings;

use millstream_core::{Error, Result, TableSpec};
use tokio_postgres::types::Type;

/// Refuses a report that PostgreSQL can't hold, naming the column. `check` calls this before anything runs.
pub fn check_table(settings: &PostgresSettings, spec: &TableSpec) -> Result<()> {
    report::Report::new(&settings.schema, spec).map(drop)
}

/// A refused password, or one that can't be read, is somebody's to mend when a connection is first tried. Later it may be a rotation under
/// way, which the calls wait for.
fn at_first(error: Error) -> Error {
    let text = error.to_string();
    if text.contains("(SQLSTATE 28") || text.contains("can't be read") { Error::invalid(text) } else { error }
}

/// Connects and checks that Millstream may do what it needs. One line about what is there, or an error that says what to do.
pub async fn probe(settings: &PostgresSettings) -> Result<String> {
    let pool = PostgresPool::new(settings.clone())?;
    let text = "SELECT current_setting('server_version'), current_setting('server_encoding'), current_database()::text, \
         pg_is_in_recovery(), has_database_privilege(current_database(), 'TEMPORARY'), \
         has_database_privilege(current_database(), 'CREATE'), \
         (SELECT has_schema_privilege(oid, 'CREATE') FROM pg_namespace WHERE nspname = $1), current_user::text";
    let rows = pool.ask("trying the connection", text, &[(&settings.schema, Type::TEXT)]).await.map_err(at_first)?;
    let row = rows.first().ok_or_else(|| Error::internal("PostgreSQL did not answer what it is"))?;
    let (version, encoding, database): (String, String, String) = (params::value(row, 0)?, params::value(row, 1)?, params::value(row, 2)?);
    let wrong = |what: String| Err(Error::invalid(format!("PostgreSQL ({}): {what}", pool.place())));
    if encoding != "UTF8" {
        return wrong(format!("the database's encoding is {encoding}: make one with ENCODING 'UTF8'"));
    }
    if params::value(row, 3)? {
        return wrong("it is a standby, which takes no writes: set postgresql.url to the primary".to_owned());
    }
    let user: String = params::value(row, 7)?;
    if !params::value::<bool>(row, 4)? {
        return wrong(format!("user {user} may not make temporary tables: GRANT TEMPORARY ON DATABASE {database} TO {user}"));
    }
    let schema = &settings.schema;
    match params::value::<Option<bool>>(row, 6)? {
        Some(true) => {}
        Some(false) => {
            return wrong(format!("user {user} may not make tables in schema {schema}: GRANT CREATE ON SCHEMA {schema} TO {user}"));
        }
        None if params::value::<bool>(row, 5)? => {}
        None => return wrong(format!("there is no schema {schema}: CREATE SCHEMA {schema} AUTHORIZATION {user}")),
    }
    Ok(format!("PostgreSQL {version}, database {database}, schema {schema}, may create tables"))
}
