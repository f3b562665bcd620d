#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

use millstream_core::encode::RowEncoder;
use millstream_core::ports::{TopicOutput, ValueFormat};
use millstream_core::style::TextStyle;
use millstream_core::{Attempt, Epoch, FlowId};
use millstream_testkit::changes::{change_batch, insert};
use millstream_testkit::{row, tables};

use super::*;

#[tokio::test(flavor = "multi_thread")]
async fn however_many_rows_there_are_the_records_are_those_of_the_epoch() {
    let spec = tables::topic("t");
    let output = TopicOutput {
        topic: "t".to_owned(),
        partitions: 3,
        retention: None,
        format: ValueFormat::Json,
        style: TextStyle::default(),
        key_columns: Vec::new(),
    };
    let encoder = RowEncoder::try_new(&spec, &output).unwrap();
    let output = Arc::new(Output { topic: "t".to_owned(), partitions: 3, encoder });
    for count in [0, 1, 256, 257, 5_001] {
        let rows: Vec<_> = (0..count).map(|id| insert(1_000 + id, row!["f", 1, id, "note"])).collect();
        let changes = change_batch(&spec.schema, &rows).unwrap();
        let half = changes.len() / 2;
        let changes = vec![changes.slice(0, half), changes.slice(half, changes.len() - half)];
        let write = EpochWrite { flow: FlowId::new("f"), attempt: Attempt(1), epoch: Epoch(9), table: "t".to_owned(), changes };
        assert_eq!(records_of(&output, &write).await.unwrap(), output.encoder.encode_epoch(&write, 3).unwrap(), "{count} rows");
    }
}
