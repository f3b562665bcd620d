//! What `millstream check --probe` asks: can it connect, and may it do what Millstream needs. It changes nothing.

use std::sync::Arc;

use millstream_core::Result;
use millstream_core::ports::SystemClock;

use super::client::{self, Client, Use};
use super::schema;
use super::settings::CassandraSettings;

/// Connects to the cluster of `settings` and returns a line about it; an error says what is wrong and what to do.
pub async fn probe(settings: &CassandraSettings) -> Result<String> {
    settings.validate()?;
    let client = Client::new(settings.clone(), Arc::new(SystemClock));
    let operation = "asking a node what it is";
    let statement = client.prepare(Use::Read, "SELECT release_version, data_center FROM system.local").await?;
    let answer = client.execute(operation, &statement, ()).await?;
    let rows = client::typed::<(Option<String>, Option<String>)>(operation, answer)?;
    let (version, datacenter) = rows.into_iter().next().unwrap_or_default();
    let nodes = client.session().await?.get_cluster_state().get_nodes_info().len();
    let keyspace = if schema::keyspace_exists(&client).await? {
        format!("keyspace {}", settings.keyspace)
    } else {
        schema::check_creatable(settings)?;
        format!("keyspace {} will be created", settings.keyspace)
    };
    let system = if settings.is_cosmos_db() { "Cosmos DB, Cassandra" } else { "Cassandra" };
    Ok(format!(
        "{system} {} in datacenter {}, nodes {nodes}, {keyspace}",
        version.as_deref().unwrap_or("of unknown version"),
        datacenter.as_deref().unwrap_or("of unknown name")
    ))
}
