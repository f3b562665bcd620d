#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

use super::*;

#[test]
fn numbers_keep_their_digits_and_members_their_order() {
    let mut reader = JsonReader::new(br#" {"b": 12345678901234567890.1234567890, "a" : [ true , "x\"\u00e9" , null, {}] } "#);
    let mut seen = Vec::new();
    reader
        .object(|r, name| {
            seen.push(name.into_owned());
            if seen.len() == 1 {
                seen.push(r.scalar()?.into_owned());
                return Ok(());
            }
            r.array(|r| {
                if r.null() {
                    seen.push("-".into());
                } else if seen.len() == 5 + 1 {
                    r.skip()?;
                } else {
                    seen.push(r.scalar()?.into_owned());
                }
                Ok(())
            })
            .map(drop)
        })
        .unwrap();
    reader.end().unwrap();
    assert_eq!(seen, ["b", "12345678901234567890.1234567890", "a", "true", "x\"é", "-"]);
}

#[test]
fn anything_valid_can_be_skipped() {
    let mut reader = JsonReader::new(br#"[1, {"a": [[], {"b": "}]\\"}]}, "c"]"#);
    reader.skip().unwrap();
    reader.end().unwrap();
}

#[test]
fn what_is_no_json_is_corrupt() {
    for text in ["", "{", "[1", "[1 2]", "{\"a\"}", "{\"a\":1,}", "\"a", "{a:1}", "[,1]", "[1,]"] {
        let mut reader = JsonReader::new(text.as_bytes());
        let end = reader.skip().and_then(|()| reader.end());
        assert!(end.is_err(), "{text}");
    }
}
