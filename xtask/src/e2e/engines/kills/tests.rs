use super::*;

fn content(departures: &[&str]) -> Content {
    Content::from([("departures", departures.iter().map(|row| (*row).to_owned()).collect())])
}

#[test]
fn a_lost_row_and_a_new_one_are_named() {
    let error = differences(&content(&["a", "b"]), &content(&["b", "c"])).unwrap_err().to_string();
    assert_eq!(error, r#"departures: 2 rows against 2; only undisturbed ["a"]; only killed ["c"]"#);
}

#[test]
fn a_doubled_row_is_a_difference() {
    assert!(differences(&content(&["a", "b"]), &content(&["a", "b", "b"])).is_err());
}

#[test]
fn equal_tables_do_not_differ() {
    assert!(differences(&content(&["a"]), &content(&["a"])).is_ok());
}
