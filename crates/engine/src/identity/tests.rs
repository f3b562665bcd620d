use super::*;

fn parts(of: &[(&str, &str)]) -> Description {
    of.iter().map(|(a, b)| ((*a).to_owned(), (*b).to_owned())).collect()
}

#[test]
fn the_difference_names_what_is_gone_changed_and_new() {
    let before = parts(&[("flow a", "Filter: x > 1\n  Scan"), ("table old", "event store"), ("table same", "s")]);
    let now = parts(&[("flow a", "Filter: x > 2\n  Scan"), ("table new", "report"), ("table same", "s")]);
    let text = difference(&before, &now);
    assert_eq!(
        text,
        "  ~ flow a\n      was: Filter: x > 1\n      is:  Filter: x > 2\n  - table old is gone: event store\n  + table new is new: report\n"
    );
    assert_eq!(difference(&now, &now), "");
}
