//! Tables made known: created where they are absent, compared where they exist. Nothing is ever altered.

use millstream_core::{Error, Result, TableSpec};

use super::client::{self, Client, Use};
use super::column::Column;
use super::compare::{Access, Diff, OwnColumn, Present, PresentColumn, compare};
use super::names::{self, constant, quoted};
use super::progress;
use super::settings::{CassandraSettings, Preset};
use super::table::{self, CassandraTables, HIDDEN, Table, VersionSource, columns_of, qualified};

/// Where the versions of a table's rows are.
fn version_source(present: &Present) -> VersionSource {
    match present.column(HIDDEN).filter(|c| c.kind == "regular").map(|c| c.cql.as_str()) {
        Some("bigint") => return VersionSource::Stored,
        Some(_) => return VersionSource::Hidden,
        None => {}
    }
    // Collections that aren't frozen have a write time for each element, and counters none.
    let has_one = |c: &&PresentColumn| {
        let multi = ["list<", "set<", "map<", "counter"].iter().any(|p| c.cql.starts_with(p));
        c.kind == "regular" && !multi
    };
    VersionSource::Columns(present.columns.iter().filter(has_one).map(|c| c.name.clone()).collect())
}

fn other_shape(settings: &CassandraSettings, spec: &TableSpec, present: &Present, difference: &Diff) -> Error {
    let shape = present.fingerprint().map_or_else(|| present.shape(), str::to_owned);
    Error::already_exists(format!(
        "table {} exists in keyspace {} as {shape}, not as {}:\n{difference}\nMillstream alters no table: drop it, change it in Cassandra, \
         or give the pipeline's table another name",
        spec.name,
        settings.keyspace,
        spec.fingerprint(),
    ))
}

/// The table called `name`, if there is one.
pub(super) async fn look(client: &Client, name: &str) -> Result<Option<Present>> {
    let operation = "reading the schema";
    let keyspace = client.settings.keyspace.as_str();
    let cql = "SELECT id, comment FROM system_schema.tables WHERE keyspace_name = ? AND table_name = ?";
    let statement = client.prepare(Use::Read, cql).await?;
    let answer = client::rows(operation, client.execute(operation, &statement, (keyspace, name)).await?)?;
    let mut present = None;
    client::cells(operation, &answer, |cells| {
        let id = cells[0].unwrap_or_default().iter().map(|b| format!("{b:02x}")).collect();
        let comment = String::from_utf8_lossy(cells[1].unwrap_or_default()).into_owned();
        present = Some(Present { id, comment, columns: Vec::new() });
        Ok(())
    })?;
    let Some(mut present) = present else { return Ok(None) };
    let cql = "SELECT column_name, type, kind, position, clustering_order FROM system_schema.columns \
               WHERE keyspace_name = ? AND table_name = ?";
    let statement = client.prepare(Use::Read, cql).await?;
    let answer = client.execute(operation, &statement, (keyspace, name)).await?;
    present.columns = client::typed::<(String, String, String, i32, String)>(operation, answer)?
        .into_iter()
        .map(|(name, cql, kind, position, order)| PresentColumn { name, cql, kind, position, order })
        .collect();
    Ok(Some(present))
}

/// Checks that a table which Millstream keeps beside those of the pipeline has the columns `own`.
pub(super) fn check_own(client: &Client, name: &str, present: &Present, own: &[OwnColumn]) -> Result<()> {
    let difference = Diff::of_own(present, own);
    if difference.is_empty() {
        return Ok(());
    }
    Err(Error::already_exists(format!(
        "table {name} in keyspace {} is not the one that Millstream keeps:\n{difference}\nanother version of Millstream, or somebody else, \
         made it; take another keyspace, or drop it",
        client.settings.keyspace
    )))
}

/// Whether the keyspace is there.
pub(super) async fn keyspace_exists(client: &Client) -> Result<bool> {
    let operation = "reading the schema";
    let statement = client.prepare(Use::Read, "SELECT keyspace_name FROM system_schema.keyspaces WHERE keyspace_name = ?").await?;
    let found = client.execute(operation, &statement, (client.settings.keyspace.as_str(),)).await?;
    Ok(!client::typed::<(String,)>(operation, found)?.is_empty())
}

/// Refuses to make a keyspace whose replication nobody said.
pub(super) fn check_creatable(settings: &CassandraSettings) -> Result<()> {
    if settings.replication.is_empty() && settings.preset != Some(Preset::CosmosDb) {
        return Err(Error::not_found(format!(
            "keyspace {} does not exist in Cassandra: create it, or set cassandra.replication ({{ datacenter1 = 3 }}) so that Millstream does",
            settings.keyspace
        )));
    }
    Ok(())
}

/// Makes the keyspace where it is absent and the settings say how.
pub(super) async fn ensure_keyspace(client: &Client) -> Result<()> {
    if keyspace_exists(client).await? {
        return Ok(());
    }
    check_creatable(&client.settings)?;
    client.change_schema(&create_keyspace(&client.settings)).await
}

fn create_keyspace(settings: &CassandraSettings) -> String {
    let copies = |(datacenter, copies): (&String, &u32)| format!(", {}: {copies}", constant(datacenter));
    let replication: String = settings.replication.iter().map(copies).collect();
    format!(
        "CREATE KEYSPACE IF NOT EXISTS {} WITH replication = {{'class': 'NetworkTopologyStrategy'{replication}}}",
        quoted(&settings.keyspace)
    )
}

/// Makes the table of `spec`, or checks that it is what `spec` says.
pub(super) async fn ensure(client: &Client, tables: &CassandraTables, spec: &TableSpec) -> Result<Table> {
    let settings = &client.settings;
    spec.validate()?;
    names::check("table", &spec.name)?;
    if spec.ttl.is_some_and(|t| t.as_secs() > super::settings::TTL_MAX_S || t.is_zero()) {
        return Err(Error::invalid(format!("table {}: Cassandra's TTL is from 1 s to 20 years", spec.name)));
    }
    let created = columns_of(settings, &spec.schema)?;
    let present = match look(client, &spec.name).await? {
        Some(present) => present,
        None => {
            client.change_schema(&table::create(settings, spec, &created)?).await?;
            client.forget_statements();
            look(client, &spec.name).await?.ok_or_else(|| Error::unavailable(format!("table {} was created and is gone", spec.name)))?
        }
    };
    let columns = compare(spec, &present, &created, Access::Written).map_err(|diff| other_shape(settings, spec, &present, &diff))?;
    if let Some(fingerprint) = present.fingerprint().filter(|f| *f != spec.fingerprint()) {
        return Err(other_shape(settings, spec, &present, &Diff::of_fingerprints(fingerprint, &spec.fingerprint())));
    }
    let mut table = known(settings, spec, present, columns, false)?;
    table.is_insert_only = tables.insert_only.contains(&spec.name);
    table.feed = super::feed::ensure(client, &table, tables.feeds.contains(&spec.name)).await?;
    Ok(table)
}

/// Checks that a table which others write is what `spec` says.
pub(super) async fn bind(client: &Client, spec: &TableSpec) -> Result<Table> {
    let settings = &client.settings;
    spec.validate()?;
    let present = look(client, &spec.name).await?.ok_or_else(|| {
        Error::not_found(format!(
            "table {} does not exist in keyspace {} of Cassandra, and a CREATE TABLE without a query makes none: create it there, or \
             check the keyspace",
            spec.name, settings.keyspace
        ))
    })?;
    let wanted = columns_of(settings, &spec.schema)?;
    let columns = compare(spec, &present, &wanted, Access::Read).map_err(|diff| other_shape(settings, spec, &present, &diff))?;
    known(settings, spec, present, columns, true)
}

fn known(settings: &CassandraSettings, spec: &TableSpec, present: Present, columns: Vec<Column>, is_read_only: bool) -> Result<Table> {
    Ok(Table {
        key: spec.key.indices(&spec.schema)?,
        version: version_source(&present),
        id: present.id,
        name: qualified(settings, &spec.name),
        spec: spec.clone(),
        columns,
        is_read_only,
        is_insert_only: false,
        feed: None,
    })
}

/// Removes the table `name` and what Millstream keeps beside it; unknown is fine. A table that somebody else made stays.
pub(super) async fn drop_all(client: &Client, name: &str) -> Result<()> {
    for table in [name.to_owned(), super::feed::log_name(name), super::feed::deletes_name(name)] {
        let Some(present) = look(client, &table).await? else { continue };
        // Cosmos DB keeps no comments: there a table of Millstream's is known by its column.
        let is_ours = present.comment.starts_with("millstream ")
            || (client.settings.is_cosmos_db() && version_source(&present) == VersionSource::Stored);
        if !is_ours {
            return Err(Error::unsupported(format!(
                "table {table} was not made by Millstream, which does not drop it: drop it in Cassandra"
            )));
        }
        client.change_schema(&format!("DROP TABLE IF EXISTS {}", qualified(&client.settings, &table))).await?;
        if client.settings.is_cosmos_db() {
            progress::forget(client, &table, &present.id).await?;
        }
    }
    client.forget_statements();
    Ok(())
}

#[cfg(test)]
mod tests;
