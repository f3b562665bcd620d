use millstream_core::Version;

use super::*;
use crate::source::{PartitionState, SourcePosition};

/// A source whose partitions stand at these offsets.
fn at(offsets: &[i64]) -> SourceState {
    let partition = |offset: &i64| PartitionState { position: SourcePosition::Offset(*offset), version: Version(*offset) };
    SourceState { partitions: offsets.iter().map(partition).collect(), starts: Vec::new() }
}

fn both(left: &[i64], right: &[i64]) -> SourceState {
    SourceState::of_several([at(left), at(right)])
}

#[test]
fn added_partitions_begin_where_they_do() {
    assert_eq!(at(&[5, 7]).with_added(&at(&[0, 0, 3, 0])), at(&[5, 7, 3, 0]));
    assert_eq!(at(&[5, 7]).with_added(&at(&[0, 0])), at(&[5, 7]));
}

#[test]
fn what_a_first_source_gets_moves_the_second() {
    let (known, present) = (both(&[5, 7], &[8]), both(&[0, 0, 0, 0], &[1, 2]));
    let now = known.with_added(&present);
    assert_eq!(now, both(&[5, 7, 0, 0], &[8, 2]));
    assert_eq!(now.starts, [4]);
    assert_eq!([0, 1, 2].map(|p| known.number_in(&now, p)), [0, 1, 4]);
    assert_eq!(present.within(&known), both(&[0, 0], &[1]));
}
