use super::*;

fn rules(path: &str, text: &str) -> Vec<&'static str> {
    let map = Document { path: CODE_MAP.into(), text: "`crates/core`".to_owned() };
    let log = Document { path: CHANGELOG.into(), text: "## [Unreleased]".to_owned() };
    let files = ["crates/core/src/lib.rs", "docs/plan.md", CODE_MAP].map(PathBuf::from);
    let document = Document { path: path.into(), text: text.to_owned() };
    check(&[map, log, document], &files).into_iter().map(|finding| finding.rule).collect()
}

#[test]
fn links_and_paths_that_exist_are_in_order() {
    assert!(
        rules("docs/x.md", "[plan](plan.md#next), [core](../crates/core), `crates/core/src/lib.rs`, [web](https://a.example/b)").is_empty()
    );
}

#[test]
fn a_link_or_path_to_nothing_is_found() {
    assert_eq!(rules("docs/x.md", "[plan](docs/plan.md)"), ["dead-link"]);
    assert_eq!(rules("README.md", "see `crates/gone`"), ["dead-path"]);
}

#[test]
fn a_crate_that_the_code_map_forgot_is_found() {
    let map = Document { path: CODE_MAP.into(), text: "`crates/core`".to_owned() };
    let files = ["crates/core/src/lib.rs", "crates/engine/src/lib.rs"].map(PathBuf::from);
    assert_eq!(code_map(&[map], &with_folders(&files)).len(), 1);
}

#[test]
fn a_changelog_without_an_open_section_is_found() {
    assert!(changelog(&[Document { path: CHANGELOG.into(), text: "## 1.0".to_owned() }]).is_some());
}
