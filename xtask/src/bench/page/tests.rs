use super::*;

fn comparison(ours: &[f64], theirs: &[f64]) -> Comparison {
    let (what, peer) = ("Kafka to Cassandra".to_owned(), "the bare driver".to_owned());
    Comparison { what, ours: ours.to_vec(), peer, theirs: theirs.to_vec(), unit: "rows/s", goal: Some(0.8) }
}

#[test]
fn a_line_has_medians_spread_ratio_and_promise() {
    let text = table(&[comparison(&[70_000.0, 60_000.0, 90_000.0], &[1_000_000.0])]);
    let line = text.lines().nth(2).unwrap();
    assert_eq!(line, "| Kafka to Cassandra | 70,000 rows/s (60,000 to 90,000) | the bare driver | 1,000,000 rows/s | 0.07 | 0.80 |");
}

#[test]
fn only_the_section_of_its_name_is_replaced() {
    let page = "# B\n<!-- begin demo -->\nold\n<!-- end demo -->\n<!-- begin engines -->\nkept\n<!-- end engines -->\n";
    let page = replaced(page, "demo", "new").unwrap();
    assert_eq!(page, "# B\n<!-- begin demo -->\n\nnew\n<!-- end demo -->\n<!-- begin engines -->\nkept\n<!-- end engines -->\n");
    assert_eq!(replaced(&page, "stream", "new"), None);
}

#[test]
fn a_section_is_read_without_what_surrounds_it() {
    let page = "# B\n<!-- begin demo -->\n\nold\n\n<!-- end demo -->\n<!-- begin engines -->\nkept\n<!-- end engines -->\n";
    assert_eq!((section(page, "demo"), section(page, "engines"), section(page, "stream")), (Some("old"), Some("kept"), None));
}

#[test]
fn several_rounds_have_a_spread_and_one_has_none() {
    assert_eq!(spread(&[2_000.0, 1_000.0, 3_000.0]), " (1,000 to 3,000)");
    assert_eq!(spread(&[2_000.0]), "");
}
