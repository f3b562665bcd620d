#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

use super::super::supported;
use super::*;

fn header() -> Vec<u8> {
    // Metadata, version 4, correlation 1, no client id.
    vec![0, 3, 0, 4, 0, 0, 0, 1, 0xff, 0xff]
}

fn metadata(body: &[u8]) -> Result<(), ShapeError> {
    check(&[header(), body.to_vec()].concat(), supported(3).unwrap(), 4, 1)
}

#[test]
fn a_whole_request_passes() {
    assert_eq!(metadata(&[0, 0, 0, 1, 0, 1, b't', 1]), Ok(()));
    assert_eq!(metadata(&[0xff, 0xff, 0xff, 0xff, 1]), Ok(()), "null asks for all topics");
    assert_eq!(metadata(&[0, 0, 0, 0, 1, 9]), Ok(()), "what stands behind it isn't looked at");
}

#[test]
fn counts_and_lengths_without_bytes_are_refused_before_anything_is_reserved() {
    assert_eq!(metadata(&[0x7f, 0xff, 0xff, 0xff, 0, 1, b't', 1]), Err(ShapeError::Length));
    assert_eq!(metadata(&[0x80, 0, 0, 0, 1]), Err(ShapeError::Length));
    assert_eq!(metadata(&[0, 0, 0, 1, 0x7f, 0xff, b't', 1]), Err(ShapeError::CutOff));
    assert_eq!(metadata(&[0, 0, 0, 2, 0, 1, b't', 1]), Err(ShapeError::CutOff));
}

#[test]
fn a_request_may_not_list_endlessly() {
    let many = ELEMENTS_MAX as u32 + 1;
    let mut body = many.to_be_bytes().to_vec();
    body.resize(4 + 2 * many as usize + 1, 0);
    assert_eq!(metadata(&body), Err(ShapeError::Elements));
}
