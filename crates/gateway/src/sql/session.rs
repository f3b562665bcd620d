//! Sessions: the wiring's with PostgreSQL's catalog and functions added, and a copy of it for every connection.

use std::sync::Arc;

use async_trait::async_trait;
use datafusion::catalog::{CatalogProvider, CatalogProviderList, MemoryCatalogProvider, MemoryCatalogProviderList, SchemaProvider};
use datafusion::error::DataFusionError;
use datafusion::execution::session_state::SessionStateBuilder;
use datafusion::prelude::SessionContext;
use datafusion_postgres::datafusion_pg_catalog::pg_catalog::context::{PgCatalogContextProvider, Role};
use datafusion_postgres::datafusion_pg_catalog::pg_catalog::setup_pg_catalog;
use millstream_core::{Error, Result};

use super::functions;
use super::variables::Variables;

/// What `current_database()` says, whatever name a client connects to.
const DATABASE: &str = "millstream";

/// The one role that there is: it reads. Its name is the one that pg_get_userbyid gives to every owner.
#[derive(Clone, Debug)]
struct Reader;

#[async_trait]
impl PgCatalogContextProvider for Reader {
    async fn roles(&self) -> Vec<String> {
        vec!["postgres".to_owned()]
    }

    async fn role(&self, name: &str) -> Option<Role> {
        (name == "postgres").then(|| Role {
            name: name.to_owned(),
            is_superuser: false,
            can_login: true,
            can_create_db: false,
            can_create_role: false,
            can_create_user: false,
            can_replication: false,
            grants: Vec::new(),
            inherited_roles: Vec::new(),
        })
    }
}

/// The catalog of the wiring's session, and beside its schemas `pg_catalog`.
#[derive(Debug)]
struct WithPgCatalog {
    inner: Arc<dyn CatalogProvider>,
    added: MemoryCatalogProvider,
}

impl CatalogProvider for WithPgCatalog {
    fn schema_names(&self) -> Vec<String> {
        let mut names = self.inner.schema_names();
        names.extend(self.added.schema_names());
        names
    }

    fn schema(&self, name: &str) -> Option<Arc<dyn SchemaProvider>> {
        self.added.schema(name).or_else(|| self.inner.schema(name))
    }

    fn register_schema(&self, name: &str, schema: Arc<dyn SchemaProvider>) -> datafusion::error::Result<Option<Arc<dyn SchemaProvider>>> {
        self.added.register_schema(name, schema)
    }
}

/// The wiring's session with `pg_catalog`, `information_schema` and PostgreSQL's functions, and its default catalog as the database
/// [`DATABASE`]. The tables stay shared, so that what the wiring registers later is seen; its own session is left as it is.
pub(crate) fn base_session(from: &SessionContext) -> Result<SessionContext> {
    let failed = |e: DataFusionError| Error::internal("adding PostgreSQL's catalog to the SQL session").caused_by(e);
    // The builder would put an empty catalog in the place of ours.
    let mut config = from.copied_config().with_create_default_catalog_and_schema(false);
    let name = std::mem::replace(&mut config.options_mut().catalog.default_catalog, DATABASE.to_owned());
    config.options_mut().catalog.information_schema = true;
    let inner = from.catalog(&name).ok_or_else(|| Error::internal(format!("the SQL session has no catalog {name}")))?;
    let catalogs = MemoryCatalogProviderList::new();
    catalogs.register_catalog(DATABASE.to_owned(), Arc::new(WithPgCatalog { inner, added: MemoryCatalogProvider::new() }));
    let state = SessionStateBuilder::new_from_existing(from.state()).with_config(config).with_catalog_list(Arc::new(catalogs)).build();
    let session = SessionContext::new_with_state(state);
    setup_pg_catalog(&session, DATABASE, Reader).map_err(|e| failed(*e))?;
    functions::register(&session);
    Ok(session)
}

/// A connection's own session: its settings and prepared statements are nobody else's.
pub(crate) fn connection_session(base: &SessionContext, variables: &Arc<Variables>) -> SessionContext {
    let session = SessionContext::new_with_state(base.state());
    functions::register_settings(&session, variables);
    session
}

#[cfg(test)]
mod tests;
