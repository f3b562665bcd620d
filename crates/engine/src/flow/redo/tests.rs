#![allow(clippy::unwrap_used, reason = "tests")]

use std::sync::Arc;

use arrow::array::{Int64Array, RecordBatch};
use arrow::datatypes::{DataType, Field, Schema};
use millstream_core::{ChangeBatch, Epoch, Version};
use millstream_pipeline::signature::{Change, Scope, Signature};

use super::*;
use crate::flow::checkpoint::Header;
use crate::source::SourceState;

#[test]
fn only_what_follows_from_a_topics_records_and_is_appended_is_made_again_of_them() {
    let mut made = Vec::new();
    for isolation in [Isolation::Row, Isolation::Epoch] {
        for appends in [true, false] {
            for draws_versions in [true, false] {
                for reads_a_topic in [true, false] {
                    made.push((
                        isolation,
                        appends,
                        draws_versions,
                        reads_a_topic,
                        Redo::of(isolation, appends, draws_versions, reads_a_topic),
                    ));
                }
            }
        }
    }
    let picked = |redo: Redo| made.iter().filter(|m| m.4 == redo).map(|m| (m.0, m.1, m.2, m.3)).collect::<Vec<_>>();
    assert_eq!(picked(Redo::Records), [(Isolation::Row, true, false, true)]);
    let changes = [
        (Isolation::Row, true, true, true),
        (Isolation::Row, true, true, false),
        (Isolation::Row, true, false, false),
        (Isolation::Row, false, true, true),
        (Isolation::Row, false, true, false),
    ];
    assert_eq!(picked(Redo::Changes), changes);
    assert!(made.iter().all(|m| m.0 == Isolation::Row || m.4 == Redo::Nothing));
}

fn checkpoint(redo: Option<ChangeBatch>, made_of: Option<MadeOf>) -> Checkpoint {
    let header = Header {
        signature: Some(Signature::default()),
        fingerprint: None,
        source: SourceState::default(),
        watermark: None,
        version_bound: Version(0),
        reach: None,
        base: Epoch(1),
        altered: None,
        repetition: None,
        reports: None,
        data: None,
        made_of,
        emitted: None,
    };
    Checkpoint { header, state: Vec::new(), redo }
}

fn made_of() -> MadeOf {
    MadeOf { source: SourceState::default(), records: 5, changes: 4 }
}

fn changes() -> ChangeBatch {
    let schema = Schema::new(vec![Field::new("id", DataType::Int64, true)]);
    let rows = RecordBatch::try_new(Arc::new(schema), vec![Arc::new(Int64Array::from(vec![19]))]).unwrap();
    ChangeBatch::try_new(rows, vec![0].into(), vec![100].into(), vec![0].into(), vec![7].into()).unwrap()
}

fn another_filter() -> Vec<Change> {
    vec![Change { part: "filter".to_owned(), scope: Scope::Result, was: Some("a".to_owned()), is: Some("b".to_owned()) }]
}

/// Whatever the flow's own checkpoints have by now: an earlier program's have the changes.
#[test]
fn a_checkpoint_says_what_its_epoch_is_written_again_from() {
    for fit in [Fit::Same, Fit::BehindState(another_filter())] {
        assert!(matches!(Torn::of(&checkpoint(Some(changes()), None), &fit), Torn::Changes), "{fit:?}");
        assert!(matches!(Torn::of(&checkpoint(None, None), &fit), Torn::Passed), "{fit:?}");
    }
    assert!(matches!(Torn::of(&checkpoint(None, Some(made_of())), &Fit::Same), Torn::Records(m) if m == made_of()));
}

#[test]
fn another_query_makes_no_torn_epoch_again() {
    for fit in [Fit::BehindState(another_filter()), Fit::Another(another_filter())] {
        let torn = Torn::of(&checkpoint(None, Some(made_of())), &fit);
        assert!(matches!(&torn, Torn::OfAnotherQuery(how) if how == "filter was a, and is b"), "{torn:?}");
    }
    assert!(matches!(Torn::of(&checkpoint(None, Some(made_of())), &Fit::Unknown), Torn::OfAnotherQuery(_)));
}

#[test]
fn fewer_records_or_other_rows_are_noticed() {
    assert_eq!(made_of().check(5, 4), Ok(()));
    assert_eq!(made_of().check(4, 4), Err(Difference::Records("4 of its 5 records are left".to_owned())));
    assert_eq!(made_of().check(4, 3), Err(Difference::Records("4 of its 5 records are left".to_owned())), "the cause, not what follows");
    assert_eq!(made_of().check(5, 5), Err(Difference::Changes("it had 4 rows, and would have 5".to_owned())));
}
