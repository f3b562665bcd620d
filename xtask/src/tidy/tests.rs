use super::*;

#[test]
fn a_file_of_tests_is_known_by_its_name_or_folder() {
    let is_test = |path: &str| Document { path: path.into(), text: String::new() }.is_test();
    assert!(is_test("crates/core/src/key/tests.rs"));
    assert!(is_test("crates/broker/tests/it/main.rs"));
    assert!(!is_test("crates/testkit/src/suite.rs"));
}
