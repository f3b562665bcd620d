//! An endpoint over tables in memory: a few rows of the flights pipeline, a column of every type, and a table that never ends.

use std::net::SocketAddr;
use std::sync::Arc;

use arrow::array::{
    ArrayRef, BinaryArray, BooleanArray, Date32Array, Decimal128Array, Float32Array, Float64Array, Int8Array, Int16Array, Int32Array,
    Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray,
};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::catalog::streaming::StreamingTable;
use datafusion::catalog::{MemorySchemaProvider, SchemaProvider};
use datafusion::datasource::MemTable;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::streaming::PartitionStream;
use datafusion::prelude::SessionContext;
use millstream_core::ports::SystemClock;
use millstream_gateway::sql::{SqlServer, SqlSettings};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// A running endpoint, which ends with this.
pub struct Endpoint {
    pub address: SocketAddr,
    pub shutdown: CancellationToken,
    pub running: JoinSet<millstream_core::Result<()>>,
}

impl Endpoint {
    pub async fn start() -> Self {
        Self::with(SqlSettings::default()).await
    }

    pub async fn with(settings: SqlSettings) -> Self {
        let server = SqlServer::bind(([127, 0, 0, 1], 0).into(), settings, session(), Arc::new(SystemClock)).await.unwrap();
        let (address, shutdown, mut running) = (server.local_addr(), CancellationToken::new(), JoinSet::new());
        running.spawn(server.run(shutdown.clone()));
        Self { address, shutdown, running }
    }
}

fn batch(columns: Vec<(&str, ArrayRef)>) -> RecordBatch {
    RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(name, array)| (name, array, name != "carrier"))).unwrap()
}

fn text(values: &[&str]) -> ArrayRef {
    Arc::new(StringArray::from(values.to_vec()))
}

fn session() -> SessionContext {
    let session = SessionContext::new();
    let register = |name: &str, batch: RecordBatch| session.register_batch(name, batch).map(|_| ()).unwrap();
    register(
        "airlines",
        batch(vec![("carrier", text(&["F9", "UA"])), ("name", text(&["Frontier Airlines Inc.", "United Air Lines Inc."]))]),
    );
    register(
        "carrier_daily",
        batch(vec![
            ("carrier", text(&["F9", "UA", "UA"])),
            ("flight_date", Arc::new(Date32Array::from(vec![15_706, 15_706, 15_707]))),
            ("departures", Arc::new(Int64Array::from(vec![2, 165, 170]))),
            ("avg_delay", Arc::new(Float64Array::from(vec![Some(20.22), Some(12.5), None]))),
        ]),
    );
    register("every_type", every_type());
    register("numbers", batch(vec![("n", Arc::new((0..10_000).collect::<Int64Array>()))]));
    let system = MemorySchemaProvider::new();
    let jobs = batch(vec![("report", text(&["carrier_daily"]))]);
    system.register_table("jobs".into(), Arc::new(MemTable::try_new(jobs.schema(), vec![vec![jobs]]).unwrap())).unwrap();
    session.catalog("datafusion").unwrap().register_schema("system", Arc::new(system)).unwrap();
    let schema: SchemaRef = Arc::new(Schema::new(vec![Field::new("n", DataType::Int64, false)]));
    let endless = StreamingTable::try_new(schema.clone(), vec![Arc::new(Endless(schema))]).unwrap();
    session.register_table("endless", Arc::new(endless)).unwrap();
    session
}

/// Two rows: values, and nulls.
fn every_type() -> RecordBatch {
    batch(vec![
        ("boolean_", Arc::new(BooleanArray::from(vec![Some(true), None]))),
        ("tinyint_", Arc::new(Int8Array::from(vec![Some(-7), None]))),
        ("smallint_", Arc::new(Int16Array::from(vec![Some(300), None]))),
        ("int_", Arc::new(Int32Array::from(vec![Some(70_000), None]))),
        ("bigint_", Arc::new(Int64Array::from(vec![Some(i64::MAX), None]))),
        ("float_", Arc::new(Float32Array::from(vec![Some(0.5), None]))),
        ("double_", Arc::new(Float64Array::from(vec![Some(0.25), None]))),
        ("decimal_", Arc::new(Decimal128Array::from(vec![Some(12_345), None]).with_precision_and_scale(10, 2).unwrap())),
        ("string_", Arc::new(StringArray::from(vec![Some("é"), None]))),
        ("binary_", Arc::new(BinaryArray::from(vec![Some(b"\x00\xff".as_slice()), None]))),
        ("date_", Arc::new(Date32Array::from(vec![Some(15_908), None]))),
        ("timestamp_", Arc::new(TimestampMicrosecondArray::from(vec![Some(1_374_519_600_000_001), None]).with_timezone("UTC"))),
        ("timestamp_ntz_", Arc::new(TimestampMicrosecondArray::from(vec![Some(1_374_519_600_000_000), None]))),
    ])
}

/// A table whose first row never comes.
#[derive(Debug)]
struct Endless(SchemaRef);

impl PartitionStream for Endless {
    fn schema(&self) -> &SchemaRef {
        &self.0
    }

    fn execute(&self, _context: Arc<TaskContext>) -> SendableRecordBatchStream {
        Box::pin(RecordBatchStreamAdapter::new(self.0.clone(), futures::stream::pending()))
    }
}
