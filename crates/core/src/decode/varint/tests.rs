use super::*;

#[test]
fn numbers_end_where_they_say() {
    assert_eq!(read(&[0x96, 0x01, 0xff]), Ok((150, 2)));
    assert_eq!(read(&[0xff; 9].into_iter().chain([1]).collect::<Vec<_>>()), Ok((u64::MAX, 10)));
    assert_eq!(read(&[0xff; 10]), Err("a number has too many bytes"));
    assert_eq!(read(&[0x80]), Err("the bytes end within a number"));
    assert_eq!([0, 1, 2, 3, u64::MAX].map(signed), [0, -1, 1, -2, i64::MIN]);
}
