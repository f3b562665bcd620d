#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

use super::*;

#[test]
fn parts_are_found_by_their_path() {
    let text = r#" {"a":{"b":[1,{"c":"x\n\u00e9"} , null]},"n":1.50,"t":true,"z":null,"e.f":2,"a":7} trailing"#;
    let cases = [
        ("$.n", Some("1.50")),
        ("$.t", Some("true")),
        ("$.z", None),
        ("$.nothing", None),
        ("$.a.b[0]", Some("1")),
        ("$.a.b[1].c", Some("x\né")),
        ("$.a.b[1]", Some(r#"{"c":"x\né"}"#)),
        ("$.a.b[2]", Some("null")),
        ("$.a.b[3]", None),
        ("$.a[0]", None),
        ("$.n.x", None),
        ("$['e.f']", Some("2")),
        ("$['a']['b'][0]", Some("1")),
    ];
    for (path, expected) in cases {
        assert_eq!(JsonPath::try_new(path).unwrap().find(text).as_deref(), expected, "{path}");
    }
    assert_eq!(JsonPath::try_new("$").unwrap().find("[1, 2]").as_deref(), Some("[1,2]"));
    for malformed in ["", "{", r#"{"a":1"#, r#"{"a":1,"b":x}"#, "nonsense"] {
        assert_eq!(JsonPath::try_new("$.a").unwrap().find(malformed), None, "{malformed}");
    }
}

/// As Spark 4.1.1 answers.
#[test]
fn a_wildcard_is_its_one_match_or_an_array_of_all() {
    let text = r#"{"c":[{"d":"x","e":[1,2]},{"d":null},{"d":3,"e":[[4],5]}],"o":[{"d":"only"}],"n":{"p":null,"q":{"r":1}}}"#;
    let cases = [
        ("$.c[*].d", Some(r#"["x",3]"#)),
        ("$.o[*].d", Some(r#""only""#)),
        ("$.c[*].z", None),
        ("$.c[*]", Some(r#"[{"d":"x","e":[1,2]},{"d":null},{"d":3,"e":[[4],5]}]"#)),
        ("$.c[*].e[*]", Some("[[1,2],[[4],5]]")),
        ("$.c[*].e[0]", Some("[1,[4]]")),
        ("$.c[2].e[*]", Some("[[4],5]")),
        ("$.c[2].e[*][*]", Some("[4,5]")),
    ];
    for (path, expected) in cases {
        assert_eq!(JsonPath::try_new(path).unwrap().find(text).as_deref(), expected, "{path}");
    }
}

/// Jackson's bound, and with it Spark's: 1,000 levels.
#[test]
fn values_that_are_nested_too_deep_are_no_json_to_any_path() {
    let nested = |levels: usize| format!("{}1{}", "[".repeat(levels), "]".repeat(levels));
    let find = |path: &str, text: &str| JsonPath::try_new(path).unwrap().find(text);
    assert_eq!(find("$[*][*]", &nested(1_000)).as_deref(), Some("[1]"));
    assert_eq!(find("$", &nested(1_000)), Some(nested(1_000)));
    for path in ["$", "$.a", "$[0]", "$[1]", "$[*]", "$[*][*]", "$[*].a"] {
        for levels in [1_001, 100_000] {
            assert_eq!(find(path, &nested(levels)), None, "{path} of {levels} levels");
        }
    }
    let members = |levels: usize| format!("{}1{}", r#"{"a":"#.repeat(levels), "}".repeat(levels));
    let path = format!("${}", ".a".repeat(1_001));
    assert_eq!(find(&path[..2_001], &members(1_000)).as_deref(), Some("1"));
    assert_eq!(find(&path, &members(1_001)), None);
}

#[test]
fn a_wrong_path_says_why() {
    for (path, why) in
        [("a", "begin with $"), ("$a", "begins neither"), ("$.", "name is missing"), ("$[x]", "no place"), ("$[1", "not closed")]
    {
        let found = JsonPath::try_new(path).unwrap_err();
        assert!(found.contains(why), "{path}: {found}");
    }
}
