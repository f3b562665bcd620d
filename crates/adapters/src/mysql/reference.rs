//! [`MysqlReferenceSource`]: a reference table in MySQL or MariaDB, box 6: read whole in one consistent snapshot.

use arrow::array::RecordBatch;
use arrow::datatypes::{DataType, SchemaRef};
use async_trait::async_trait;
use millstream_core::ports::ReferenceSource;
use millstream_core::{Error, Result};
use mysql_async::Row;
use mysql_async::prelude::Queryable;

use super::columns::{Described, arrow_type, quoted};
use super::connection::Connection;
use super::decode::BatchBuilder;
use super::settings::MysqlSettings;
use crate::relational::{Found, ReferenceTable, choose};

const BATCH_ROWS: usize = 8_192;

/// One reference table.
pub struct MysqlReferenceSource {
    settings: MysqlSettings,
    table: ReferenceTable,
}

/// What `information_schema` says of the table.
struct Resolved {
    /// Its name in SQL.
    name: String,
    schema: SchemaRef,
    /// What is selected, a column of `schema` each.
    selected: Vec<String>,
    /// The primary key's columns.
    key: Vec<String>,
    /// `WHERE` and the filter, or nothing.
    condition: String,
}

impl MysqlReferenceSource {
    /// The table `table` in the database of `settings`. Opens no connection; that the settings are right is checked.
    pub fn new(settings: MysqlSettings, table: ReferenceTable) -> Result<Self> {
        settings.validate()?;
        Ok(Self { settings, table })
    }

    async fn open(&self) -> Result<Connection> {
        Connection::open(&self.settings, &format!("reading table {}", self.table.dbtable)).await
    }

    async fn resolve(&self, connection: &mut Connection) -> Result<Resolved> {
        let dbtable = &self.table.dbtable;
        if dbtable.contains(['(', ';', '\0']) {
            return Err(Error::invalid(format!(
                "dbtable {dbtable:?} is no name of a table or view: for a query make a view in the database"
            )));
        }
        let (database, name) = match dbtable.replace('`', "").split_once('.') {
            Some((database, name)) => (Some(database.to_owned()), name.to_owned()),
            None => (None, dbtable.replace('`', "")),
        };
        type Column = (String, String, String, Option<u64>, Option<u64>, String);
        let params = (database.clone(), name.clone());
        let text = "SELECT column_name, data_type, column_type, numeric_precision, numeric_scale, column_key \
             FROM information_schema.columns WHERE table_schema = COALESCE(?, DATABASE()) AND table_name = ? ORDER BY ordinal_position";
        let columns: Vec<Column> = connection.soon(|c| Box::pin(c.exec(text, params))).await?;
        if columns.is_empty() {
            return Err(Error::not_found(format!("MySQL ({}) has no table or view {dbtable}", self.settings.place())));
        }
        let mut found = Vec::new();
        let mut key = Vec::new();
        for (name, data_type, column_type, precision, scale, in_key) in columns {
            if in_key == "PRI" {
                key.push(quoted(&name));
            }
            let described = Described { data_type, column_type, precision, scale };
            found.push(Found { name, data_type: arrow_type(&described), sql_type: described.column_type });
        }
        // A TINYINT or a BIT may be declared BOOLEAN: each value is checked to be 0 or 1.
        if let Some(declared) = &self.table.columns {
            for column in &mut found {
                let wants_boolean =
                    declared.fields().iter().any(|f| f.name().eq_ignore_ascii_case(&column.name) && *f.data_type() == DataType::Boolean);
                if wants_boolean && column.data_type == Some(DataType::Int8) {
                    column.data_type = Some(DataType::Boolean);
                }
            }
        }
        let (schema, indices) = choose(&self.table, &found)?;
        let selected = schema.fields().iter().zip(indices).map(|(field, index)| {
            let column = &found[index];
            let name = quoted(&column.name);
            let as_text = *field.data_type() == DataType::Utf8 && column.data_type != Some(DataType::Utf8);
            if as_text { format!("CAST({name} AS CHAR CHARACTER SET utf8mb4)") } else { name }
        });
        let condition = match self.table.filter.as_deref().map(str::trim) {
            None | Some("") => String::new(),
            Some(filter) => format!(" WHERE ({filter}\n)"),
        };
        let name = match database {
            Some(database) => format!("{}.{}", quoted(&database), quoted(&name)),
            None => quoted(&name),
        };
        Ok(Resolved { name, selected: selected.collect(), schema, key, condition })
    }

    async fn load_in(&self, connection: &mut Connection) -> Result<Vec<RecordBatch>> {
        let table = self.resolve(connection).await?;
        connection.soon(|c| Box::pin(c.query_drop("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ"))).await?;
        connection.soon(|c| Box::pin(c.query_drop("START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY"))).await?;
        // The key comes last, so that a value that can't be read is named by it.
        let selected: Vec<_> = table.selected.iter().chain(&table.key).map(String::as_str).collect();
        let selected = if selected.is_empty() { "1".to_owned() } else { selected.join(", ") };
        let text = format!("SELECT {selected} FROM {}{}", table.name, table.condition);
        let (conn, patience) = connection.parts();
        let mut rows = patience.patiently(conn.exec_iter(text, ())).await?;
        let mut builder = BatchBuilder::new(table.schema.clone(), self.settings.zero_dates)?;
        let mut batches = Vec::new();
        while let Some(row) = patience.patiently(rows.next()).await? {
            builder.push(&row).map_err(|e| e.context(format!("table {}", self.table.dbtable)))?;
            if builder.rows() >= BATCH_ROWS {
                batches.push(builder.finish()?);
            }
        }
        if builder.rows() > 0 {
            batches.push(builder.finish()?);
        }
        Ok(batches)
    }

    /// The number of rows, and sums over the halves of each row's digest: the same rows give the same, whatever their order.
    async fn revision_in(&self, connection: &mut Connection) -> Result<String> {
        let table = self.resolve(connection).await?;
        let hashed = |name: &String| format!("COALESCE(HEX(CAST({name} AS BINARY)), 'NULL')");
        let digest = format!("MD5(CONCAT_WS(',', {}))", table.selected.iter().map(hashed).collect::<Vec<_>>().join(", "));
        let half = |from: usize| format!("SUM(CAST(CONV(SUBSTRING(d, {from}, 15), 16, 10) AS UNSIGNED))");
        let text = format!(
            "SELECT CONCAT_WS('-', COUNT(*), {}, {}) FROM (SELECT {digest} AS d FROM {}{}) r",
            half(1),
            half(17),
            table.name,
            table.condition
        );
        let row: Option<Row> = connection.patiently(|c| Box::pin(c.query_first(text))).await?;
        let revision = row.and_then(|row| row.get::<String, _>(0));
        revision.ok_or_else(|| Error::internal("MySQL did not count a table's rows"))
    }
}

#[async_trait]
impl ReferenceSource for MysqlReferenceSource {
    async fn schema(&self) -> Result<SchemaRef> {
        let mut connection = self.open().await?;
        let resolved = self.resolve(&mut connection).await;
        connection.close().await;
        Ok(resolved?.schema)
    }

    async fn revision(&self) -> Result<String> {
        let mut connection = self.open().await?;
        let revision = self.revision_in(&mut connection).await;
        connection.close().await;
        revision
    }

    async fn load(&self) -> Result<Vec<RecordBatch>> {
        let mut connection = self.open().await?;
        let batches = self.load_in(&mut connection).await;
        connection.close().await;
        batches
    }
}
