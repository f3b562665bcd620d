#![allow(clippy::unwrap_used, reason = "tests")]

use arrow::array::{Int64Array, RecordBatch, RecordBatchOptions, UInt8Array};
use arrow::datatypes::Schema;
use millstream_core::{RowPosition, Timestamp};

use super::*;
use crate::settings::EngineSettings;

/// A source of records by partition: of each its timestamp, and whether it is a row. An offset is a place in the list.
#[derive(Clone)]
struct Fixed(Vec<Vec<(i64, bool)>>);

#[async_trait]
impl ChunkSource for Fixed {
    async fn beginning(&self) -> Result<SourceState> {
        let first = PartitionState { position: SourcePosition::Offset(0), version: Version::MIN };
        Ok(SourceState { partitions: vec![first; self.0.len()], starts: Vec::new() })
    }

    fn reader(&self) -> Result<Box<dyn ChunkReader>> {
        Ok(Box::new(self.clone()))
    }

    async fn wait(&self, _: &SourceState) -> Result<()> {
        Ok(())
    }

    async fn lag(&self, state: &SourceState) -> Result<u64> {
        Ok(self.0.iter().zip(offsets(state)).map(|(all, at)| all.len() as u64 - u64::try_from(at).unwrap()).sum())
    }
}

fn offsets(state: &SourceState) -> Vec<i64> {
    let offset = |p: &PartitionState| match p.position {
        SourcePosition::Offset(offset) => offset,
        SourcePosition::Feed(_) => -1,
    };
    state.partitions.iter().map(offset).collect()
}

#[async_trait]
impl ChunkReader for Fixed {
    async fn chunk(&mut self, from: &SourceState, limit: ChunkLimit) -> Result<Chunk> {
        let mut end = from.clone();
        let (mut rows, mut rejected) = (Vec::new(), Vec::new());
        for _ in 0..limit.rows_max {
            let heads = self.0.iter().enumerate().filter_map(|(p, all)| {
                let offset = offsets(&end)[p];
                let (ts, is_row) = all.get(usize::try_from(offset).unwrap())?;
                Some((next_version(end.partitions[p].version, Timestamp(*ts)), p, offset, *is_row))
            });
            let Some((version, p, offset, is_row)) = heads.min().filter(|(v, p, ..)| (*v, *p) <= limit.mark_max) else { break };
            end.partitions[p] = PartitionState { position: SourcePosition::Offset(offset + 1), version };
            let position = RowPosition { partition: i32::try_from(p).unwrap(), offset };
            if is_row {
                rows.push((version.0, position));
            } else {
                let timestamp = Timestamp(self.0[p][usize::try_from(offset).unwrap()].0);
                rejected.push(RejectedRecord { position, timestamp, key: None, value: None, reason: String::new(), directed: None });
            }
        }
        let batch = RecordBatch::try_new_with_options(
            Arc::new(Schema::empty()),
            Vec::new(),
            &RecordBatchOptions::new().with_row_count(Some(rows.len())),
        );
        let changes = ChangeBatch::try_new(
            batch.unwrap(),
            UInt8Array::from_value(0, rows.len()),
            Int64Array::from_iter_values(rows.iter().map(|(v, _)| *v)),
            Int32Array::from_iter_values(rows.iter().map(|(_, p)| p.partition)),
            Int64Array::from_iter_values(rows.iter().map(|(_, p)| p.offset)),
        )?;
        let at_end = self.0.iter().zip(offsets(&end)).map(|(all, at)| at == i64::try_from(all.len()).unwrap()).collect();
        let (start, directed, further, bytes, seen_at) = (from.clone(), Vec::new(), Vec::new(), rows.len() * 10, Timestamp(0));
        Ok(Chunk { start, end, changes, further, rejected, directed, at_end, seen_at, lag: 0, bytes })
    }
}

fn shared(source: &Fixed, rows_max: usize) -> Arc<SharedSource> {
    let settings = EngineSettings { epoch_rows_max: rows_max, ..EngineSettings::default() };
    SharedSource::new(Box::new(source.clone()), 2, &settings)
}

/// Every row by partition, offset and version; and the offsets of rejected records, in the order of the chunks.
async fn read(parts: &[Fixed], rows_max: usize, restart: bool) -> (Vec<(Version, i32, i64)>, Vec<(i32, i64)>) {
    let sources: Vec<_> = parts.iter().map(|part| shared(part, rows_max)).collect();
    let several = SeveralSources::new(sources);
    let mut reader = several.reader().unwrap();
    let limit = ChunkLimit { rows_max, bytes_max: 1, mark_max: (Version::MAX, usize::MAX) };
    let mut state = several.beginning().await.unwrap();
    let (mut rows, mut rejected) = (Vec::new(), Vec::new());
    loop {
        if restart {
            reader = several.reader().unwrap();
        }
        let chunk = reader.chunk(&state, limit).await.unwrap();
        if chunk.is_empty() {
            assert_eq!(several.lag(&state).await.unwrap(), 0, "an empty chunk is the end");
            return (rows, rejected);
        }
        let mut merged: Vec<_> = chunk
            .sources()
            .flat_map(|c| (0..c.len()).map(|row| (c.version(row), c.position(row).partition, c.position(row).offset)))
            .collect();
        merged.sort();
        rows.extend(merged);
        rejected.extend(chunk.rejected.iter().map(|r| (r.position.partition, r.position.offset)));
        state = chunk.end;
    }
}

fn parts() -> Vec<Fixed> {
    let spread = |from: i64, step: i64, n: i64| (0..n).map(|at| (from + at * step, at % 7 != 3)).collect::<Vec<_>>();
    vec![Fixed(vec![spread(1_000, 50, 40), spread(1_010, 35, 30)]), Fixed(vec![spread(900, 80, 25), spread(2_500, 10, 60), Vec::new()])]
}

#[tokio::test]
async fn all_partitions_are_merged_whatever_the_chunks_are() {
    let (all, rejected) = read(&parts(), 1_000, false).await;
    assert!(all.is_sorted() && all.len() > 100 && all.iter().any(|(_, partition, _)| *partition == 3));
    for rows_max in [1, 2, 7, 30] {
        for restart in [false, true] {
            let (rows, mut rejects) = read(&parts(), rows_max, restart).await;
            assert_eq!(rows, all, "{rows_max}");
            rejects.sort_unstable();
            let mut expected = rejected.clone();
            expected.sort_unstable();
            assert_eq!(rejects, expected, "{rows_max}");
        }
    }
}

#[test]
fn positions_are_found_among_all_and_back() {
    let first = PartitionState { position: SourcePosition::Offset(0), version: Version::MIN };
    let part = |n| SourceState { partitions: vec![first.clone(); n], starts: Vec::new() };
    let all = SourceState::of_several([part(2), part(3)]);
    assert_eq!((all.partitions.len(), all.starts.as_slice()), (5, [2].as_slice()));
    assert_eq!((all.source_of(1), all.source_of(2), all.source_of(4)), ((0, 1), (1, 0), (1, 2)));
    let position = RowPosition { partition: 1, offset: 9 };
    assert_eq!(all.position_in_source(all.position_among_all(1, position)), (1, position));
    assert_eq!((all.of_source(0), all.of_source(1)), (part(2), part(3)));
}
