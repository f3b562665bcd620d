use super::*;

const LONG_WIRE: [Exception; 1] = [Exception { rule: "file-size", place: "crates/broker/src/wire.rs", why: "a table" }];

#[test]
fn an_excepted_place_may_break_its_rule_and_no_other() {
    let size = Finding::new("file-size", "crates/broker/src/wire.rs", "900 lines");
    let head = Finding::new("module-docs", "crates/broker/src/wire.rs", "no docs");
    let left = apply_list(vec![size, head], &LONG_WIRE);
    assert_eq!(left.iter().map(|f| f.rule).collect::<Vec<_>>(), ["module-docs"]);
}

#[test]
fn an_exception_that_nothing_needs_is_a_finding() {
    let left = apply_list(Vec::new(), &LONG_WIRE);
    assert_eq!(left.iter().map(|f| f.rule).collect::<Vec<_>>(), ["stale-exception"]);
}
