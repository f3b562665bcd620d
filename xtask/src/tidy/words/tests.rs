use super::*;

fn found(path: &str, text: &str) -> Vec<&'static str> {
    check(&[Document { path: path.into(), text: text.to_owned() }]).into_iter().map(|finding| finding.rule).collect()
}

#[test]
fn unfinished_work_is_found_in_comments_and_code() {
    assert_eq!(found("a.rs", "// TODO later"), ["unfinished"]);
    assert_eq!(found("a.rs", "// a list for now"), ["unfinished"]);
    assert_eq!(found("a.md", "A placeholder."), ["unfinished"]);
}

#[test]
fn code_may_use_the_words_of_its_libraries() {
    assert!(found("a.rs", "let p = Expr::Placeholder(placeholder);").is_empty());
    assert!(found("a.rs", "let todos = 1; // AUTODOC").is_empty());
}

#[test]
fn what_belongs_to_one_machine_is_found() {
    assert_eq!(found("a.toml", "path = \"/root/x\""), ["machine"]);
    assert_eq!(found("a.rs", "let url = \"https://crates.io\";"), ["machine"]);
}
