#![allow(clippy::unwrap_used, reason = "tests")]

use super::*;

#[test]
fn a_pipeline_is_called_after_its_folder_or_its_file() {
    assert_eq!(name(Path::new("/x/flights/pipeline.sql")), "flights");
    assert_eq!(name(Path::new("/x/flights/orders.sql")), "orders");
    assert_eq!(name(Path::new("/x/flights")), "flights");
}

#[test]
fn the_configuration_lies_beside_the_pipeline() {
    assert_eq!(folder(Some(Path::new("a/pipeline.sql"))), Path::new("a"));
    assert_eq!(folder(Some(Path::new("pipeline.sql"))), Path::new("."));
    assert_eq!(folder(None), Path::new("."));
}
