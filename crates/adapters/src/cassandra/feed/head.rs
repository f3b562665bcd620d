//! The head of a table's change log: what is decided and what is published. It stands in static columns of `millstream_epochs`, beside
//! the epochs of the table's flows, so that one conditional write changes both.

use millstream_core::ports::EpochWrite;
use millstream_core::{FlowId, Result};

use super::super::client::{self, Client, Use};
use super::super::progress::{self, Progress, bigint, is_applied};
use super::super::table::Table;

/// A commit that is decided: from here on it happens, whoever does it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Decided {
    pub commit: i64,
    pub flow: String,
    pub attempt: i64,
    pub epoch: i64,
    /// The last sequence of each shard after it.
    pub totals: Vec<i64>,
}

/// How far a log has come.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Head {
    /// The first commit ever.
    pub first: Option<i64>,
    pub decided: Option<Decided>,
    /// The commit up to which readers see the log.
    pub published: Option<i64>,
    /// The last sequence of each shard that readers see.
    pub totals: Vec<i64>,
    /// Whether the table of deletes may hold something.
    pub has_deletes: bool,
}

/// The head's columns, in the order of [`COLUMNS`].
type Row =
    (Option<i64>, Option<i64>, Option<String>, Option<i64>, Option<i64>, Option<Vec<i64>>, Option<i64>, Option<Vec<i64>>, Option<bool>);

impl Head {
    /// The last sequence of `shard` that readers see.
    pub fn total(&self, shard: usize) -> i64 {
        self.totals.get(shard).copied().unwrap_or(0)
    }

    /// The commit that is decided and not published.
    pub fn unfinished(&self) -> Option<&Decided> {
        self.decided.as_ref().filter(|d| Some(d.commit) != self.published)
    }
}

/// A flow's attempt and epoch, and the head's columns.
type FlowRow = (
    i64,
    i64,
    Option<i64>,
    Option<i64>,
    Option<String>,
    Option<i64>,
    Option<i64>,
    Option<Vec<i64>>,
    Option<i64>,
    Option<Vec<i64>>,
    Option<bool>,
);

const COLUMNS: &str = "first, decided, decided_flow, decided_attempt, decided_epoch, decided_totals, published, totals, has_deletes";

impl From<Row> for Head {
    fn from((first, decided, flow, attempt, epoch, decided_totals, published, totals, has_deletes): Row) -> Self {
        Self {
            first,
            decided: decided.map(|commit| Decided {
                commit,
                flow: flow.unwrap_or_default(),
                attempt: attempt.unwrap_or(0),
                epoch: epoch.unwrap_or(0),
                totals: decided_totals.unwrap_or_default(),
            }),
            published,
            totals: totals.unwrap_or_default(),
            has_deletes: has_deletes.unwrap_or(false),
        }
    }
}

/// The head of `table`'s log, read as `used` says.
pub(super) async fn read(client: &Client, table: &Table, used: Use) -> Result<Head> {
    let operation = format!("reading the head of the change log of table {}", table.spec.name);
    let cql = format!("SELECT {COLUMNS} FROM {} WHERE table_name = ? AND table_id = ? LIMIT 1", progress::name(client));
    let statement = client.prepare(used, &cql).await?;
    let answer = client.execute(&operation, &statement, (table.spec.name.as_str(), table.id.as_str())).await?;
    Ok(client::typed::<Row>(&operation, answer)?.into_iter().next().map_or_else(Head::default, Head::from))
}

/// The head of `table`'s log and how far `flow` has come, as of one moment: what a commit is decided upon. Were they read one after the
/// other, another flow's commit that was decided in between would be taken for finished, and be overwritten.
pub(super) async fn read_for(client: &Client, table: &Table, flow: &FlowId, used: Use) -> Result<(Progress, Head)> {
    let operation = format!("reading how far flow {flow} and the change log of table {} have come", table.spec.name);
    let cql =
        format!("SELECT attempt, epoch, {COLUMNS} FROM {} WHERE table_name = ? AND table_id = ? AND flow = ?", progress::name(client));
    let statement = client.prepare(used, &cql).await?;
    let values = (table.spec.name.as_str(), table.id.as_str(), flow.as_str());
    let answer = client.execute(&operation, &statement, values).await?;
    let row = client::typed::<FlowRow>(&operation, answer)?.into_iter().next();
    Ok(row.map_or_else(Default::default, |(attempt, epoch, a, b, c, d, e, f, g, h, i)| {
        let head = Head::from((a, b, c, d, e, f, g, h, i));
        (Progress::new(attempt, epoch, head.decided.as_ref().map(|d| d.commit), head.published), head)
    }))
}

/// Decides `decided`, which is the epoch of `write`, after `head`, which has nothing unfinished. `false`: something else came between.
/// From here on whoever reads the head also reads the versions of deletes, if this or an earlier commit has some.
pub(super) async fn decide(
    client: &Client,
    table: &Table,
    write: &EpochWrite,
    head: &Head,
    decided: &Decided,
    has_deletes: bool,
) -> Result<bool> {
    let operation = format!("deciding epoch {} of flow {} into table {}", write.epoch, write.flow, write.table);
    let cql = format!(
        "UPDATE {} SET attempt = ?, first = ?, decided = ?, decided_flow = ?, decided_attempt = ?, decided_epoch = ?, decided_totals = ?, \
         has_deletes = ? WHERE table_name = ? AND table_id = ? AND flow = ? IF attempt = ? AND epoch = ? AND decided = ? AND published = ?",
        progress::name(client)
    );
    let statement = client.prepare(Use::Conditional, &cql).await?;
    let attempt = bigint(write.attempt.0);
    let values = (
        attempt,
        head.first.unwrap_or(decided.commit),
        decided.commit,
        decided.flow.as_str(),
        decided.attempt,
        decided.epoch,
        decided.totals.as_slice(),
        head.has_deletes || has_deletes,
        table.spec.name.as_str(),
        table.id.as_str(),
        write.flow.as_str(),
        attempt,
        decided.epoch - 1,
        head.decided.as_ref().map(|d| d.commit),
        head.published,
    );
    is_applied(&operation, client.execute(&operation, &statement, values).await?)
}

/// Commits the epoch of `write`, which changes nothing that stood at `head`. `false`: something else came between.
pub(super) async fn pass(client: &Client, table: &Table, write: &EpochWrite, head: &Head) -> Result<bool> {
    let operation = format!("committing epoch {} of flow {} into table {}", write.epoch, write.flow, write.table);
    let cql = format!(
        "UPDATE {} SET epoch = ? WHERE table_name = ? AND table_id = ? AND flow = ? IF attempt = ? AND epoch = ? AND decided = ?",
        progress::name(client)
    );
    let statement = client.prepare(Use::Conditional, &cql).await?;
    let (epoch, attempt) = (bigint(write.epoch.0), bigint(write.attempt.0));
    let decided = head.decided.as_ref().map(|d| d.commit);
    let values = (epoch, table.spec.name.as_str(), table.id.as_str(), write.flow.as_str(), attempt, epoch - 1, decided);
    is_applied(&operation, client.execute(&operation, &statement, values).await?)
}

/// Publishes `decided` where that has not been done, with its flow's epoch. `published` is the commit before it.
pub(super) async fn publish(client: &Client, table: &Table, published: Option<i64>, decided: &Decided) -> Result<()> {
    let operation = format!("publishing epoch {} of flow {} in table {}", decided.epoch, decided.flow, table.spec.name);
    let cql = format!(
        "UPDATE {} SET epoch = ?, published = ?, totals = ? WHERE table_name = ? AND table_id = ? AND flow = ? \
         IF decided = ? AND published = ?",
        progress::name(client)
    );
    let statement = client.prepare(Use::Conditional, &cql).await?;
    let values = (
        decided.epoch,
        decided.commit,
        decided.totals.as_slice(),
        table.spec.name.as_str(),
        table.id.as_str(),
        decided.flow.as_str(),
        decided.commit,
        published,
    );
    // Where it is not applied, another process has published it: that is as good.
    is_applied(&operation, client.execute(&operation, &statement, values).await?).map(drop)
}
