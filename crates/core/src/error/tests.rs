use super::*;

#[test]
fn display_names_the_whole_chain_and_differs_from_debug() {
    let io = std::io::Error::new(std::io::ErrorKind::StorageFull, "no space left");
    let error = Error::from(io).context("append to flights-0");
    assert_eq!(error.kind(), ErrorKind::Exhausted);
    assert_eq!(error.to_string(), "append to flights-0: input or output failed: no space left");
    assert_ne!(error.to_string(), format!("{error:?}"));
}

#[test]
fn only_unavailable_and_exhausted_are_worth_a_retry() {
    let all = [
        ErrorKind::InvalidInput,
        ErrorKind::NotFound,
        ErrorKind::AlreadyExists,
        ErrorKind::Fenced,
        ErrorKind::Unavailable,
        ErrorKind::Exhausted,
        ErrorKind::Corrupt,
        ErrorKind::Unsupported,
        ErrorKind::OutOfRange,
        ErrorKind::Internal,
    ];
    let transient: Vec<_> = all.into_iter().filter(|k| k.is_transient()).collect();
    assert_eq!(transient, [ErrorKind::Unavailable, ErrorKind::Exhausted]);
    assert!(all.into_iter().all(|k| (400..600).contains(&k.http_status()) && k.exit_code() != 0));
}
