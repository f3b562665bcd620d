use serde_json::json;

use super::*;

#[test]
fn values_are_spelt_so_that_each_has_one_text() {
    let spelt = |v: Value, t: &str| value(&v, t).unwrap();
    assert_eq!(spelt(json!(null), "INT"), "NULL");
    assert_eq!(spelt(json!("1e+16"), "DOUBLE"), "1e16");
    assert_eq!(spelt(json!("-0.0"), "DOUBLE"), "-0.0");
    assert_eq!(spelt(json!("0.10000000149011612"), "FLOAT"), "0.1");
    assert_eq!(spelt(json!("-inf"), "DOUBLE"), "-Infinity");
    assert_eq!(spelt(json!("nan"), "FLOAT"), "NaN");
    assert_eq!(spelt(json!("a\t\"\u{0}\""), "STRING"), r#""a\t\"\u0000\"""#);
    assert_eq!(spelt(json!("00FF"), "BINARY"), "X'00FF'");
}

#[test]
fn a_section_is_found_only_whole() {
    let case = Case { expression: "-a".to_owned(), types: vec!["INT".to_owned()], rows: vec![vec!["1".to_owned()]] };
    let text = section(&case, &json!({"type": "INT", "rows": [{"value": "-1"}]})).unwrap();
    assert_eq!(text, "== -a :: INT => INT\n1\t=> -1\n");
    assert!(has_section(&format!("== a => INT\n=> 1\n\n{text}"), &text));
    assert!(!has_section("== -a :: INT => INT\n1\t=> 1\n", &text));
}
