#![allow(clippy::unwrap_used, reason = "tests")]

use millstream_core::ErrorKind;
use millstream_testkit::tables;

use super::*;

#[test]
fn the_first_format_is_still_read() {
    let golden = include_bytes!("golden/table-1.json");
    let expected = About::new(&tables::lake("t"), "0000000000000abc".to_owned());
    assert_eq!(About::from_bytes(golden, "golden").unwrap(), expected);
    assert_eq!(std::str::from_utf8(&expected.to_bytes().unwrap()).unwrap(), std::str::from_utf8(golden).unwrap().trim_end());
    let later = std::str::from_utf8(golden).unwrap().replace("\"format\": 1", "\"format\": 2");
    assert_eq!(About::from_bytes(later.as_bytes(), "later").unwrap_err().kind(), ErrorKind::Unsupported);
}
