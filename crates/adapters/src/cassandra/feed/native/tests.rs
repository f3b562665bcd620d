#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

use millstream_core::ErrorKind;

use super::super::super::table::tests::table;
use super::*;

#[test]
fn a_position_holds_the_continuation_and_how_many_changes_came_before() {
    let table = table(None);
    let place = Place { sequence: 12, state: Some(vec![0, 46, 255]) };
    let position = place.position(&table);
    assert_eq!(position.0, "2.1.12.002eff");
    assert_eq!(Place::parse(&position, &table).unwrap(), place);
    assert_eq!(Place::parse(&FeedPosition::default(), &table).unwrap(), Place { sequence: 0, state: None });
}

#[test]
fn positions_of_other_tables_and_of_a_log_are_out_of_range() {
    let table = table(None);
    for foreign in ["2.other.12.00", "1.1.0.12.1.3.f", "2.1.x.00", "2.1.1.0", "2.1", "nonsense"] {
        let error = Place::parse(&FeedPosition(foreign.to_owned()), &table).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::OutOfRange, "{foreign}");
    }
}
