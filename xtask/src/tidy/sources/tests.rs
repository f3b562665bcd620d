use super::*;

fn rules(path: &str, text: &str) -> Vec<&'static str> {
    check(&[Document { path: path.into(), text: text.to_owned() }]).into_iter().map(|finding| finding.rule).collect()
}

#[test]
fn a_file_with_docs_and_its_tests_apart_is_in_order() {
    let text = "#![expect(clippy::print_stdout, reason = \"r\")]\n\n//! Owns.\n\nfn f() {}\n\n#[cfg(test)]\nmod tests;\n";
    assert!(rules("crates/core/src/key.rs", text).is_empty());
}

#[test]
fn a_file_without_docs_is_found() {
    assert_eq!(rules("crates/core/src/key.rs", "use x;\n"), ["module-docs"]);
}

#[test]
fn a_long_file_is_found_and_long_tests_are_not() {
    let text = format!("//! Owns.\n{}", "fn f() {}\n".repeat(800));
    assert_eq!(rules("crates/core/src/key.rs", &text), ["file-size"]);
    assert!(rules("crates/core/src/key/tests.rs", &text).is_empty());
}

#[test]
fn tests_inside_a_source_file_are_found() {
    assert_eq!(rules("crates/core/src/key.rs", "//! Owns.\n#[cfg(test)]\nmod tests {\n}\n"), ["tests-apart"]);
    assert_eq!(rules("crates/core/src/key.rs", "//! Owns.\n#[test]\nfn t() {}\n"), ["tests-apart"]);
}

#[test]
fn a_lint_is_silenced_with_a_reason_on_one_line_or_several() {
    assert_eq!(rules("crates/core/src/key.rs", "//! Owns.\n#[allow(dead_code)]\nfn f() {}\n"), ["lint-reason"]);
    assert!(rules("crates/core/src/key.rs", "//! Owns.\n#[allow(\n  dead_code,\n  reason = \"r\"\n)]\nfn f() {}\n").is_empty());
}

#[test]
fn a_name_that_says_nothing_is_found_for_files_and_folders() {
    let files = ["crates/core/src/utils.rs", "crates/core/src/common/key.rs", "crates/core/src/types/mod.rs", "docs/common.md"];
    assert_eq!(check_names(&files.map(PathBuf::from)).len(), 3);
}
