//! A query's rows, streamed: reads only, whatever the text says.

use datafusion::error::DataFusionError;
use datafusion::execution::context::SQLOptions;
use datafusion::prelude::SessionContext;
use futures::StreamExt;
use millstream_core::{Error, ErrorKind, Result};
use millstream_gateway::sql::{in_words, refusal};

use crate::cli::RowFormat;
use crate::control::Answer;
use crate::rows::RowWriter;

/// Rows that are turned into text at once: what a cancelled query still does, and the size of a frame.
const CHUNK_ROWS: usize = 1_024;

/// Runs `query` in `session` and sends its rows, as they come, in `format`.
pub async fn stream(session: &SessionContext, query: &str, format: RowFormat, answer: &Answer) -> Result<()> {
    if let Some(why) = refusal(query) {
        return Err(Error::invalid(format!("the query can't be answered: {why}")));
    }
    let frame = session.sql_with_options(query, read_only()).await.map_err(explain)?;
    let mut batches = frame.execute_stream().await.map_err(explain)?;
    let mut writer = RowWriter::new(format, batches.schema());
    answer.data(writer.head()).await?;
    while let Some(batch) = batches.next().await {
        let batch = batch.map_err(explain)?;
        let mut from = 0;
        while from < batch.num_rows() {
            let rows = CHUNK_ROWS.min(batch.num_rows() - from);
            answer.data(writer.write(&batch.slice(from, rows))?).await?;
            from += rows;
        }
    }
    answer.data(writer.finish()).await
}

/// All rows of `query`: for the few figures of a summary.
pub async fn collect(session: &SessionContext, query: &str) -> Result<Vec<arrow::array::RecordBatch>> {
    let frame = session.sql_with_options(query, read_only()).await.map_err(explain)?;
    frame.collect().await.map_err(explain)
}

fn read_only() -> SQLOptions {
    SQLOptions::new().with_allow_ddl(false).with_allow_dml(false).with_allow_statements(false)
}

/// What went wrong with a query, by what its author has to do.
fn explain(error: DataFusionError) -> Error {
    let kind = match error.find_root() {
        DataFusionError::External(inner) => inner.downcast_ref::<Error>().map_or(ErrorKind::Internal, Error::kind),
        DataFusionError::ResourcesExhausted(_) => ErrorKind::Exhausted,
        DataFusionError::NotImplemented(_) => ErrorKind::Unsupported,
        DataFusionError::Internal(_) => ErrorKind::Internal,
        _ => ErrorKind::InvalidInput,
    };
    Error::new(kind, format!("the query can't be answered: {}", in_words(&error)))
}
