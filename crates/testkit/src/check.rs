//! Expectations of a contract case: a broken one ends the case with a sentence that says what the contract promises, not with a panic,
//! so that a runner can tell which case failed, and a broken toy can be shown to fail the right one.

use std::fmt;

use millstream_core::{Error, ErrorKind};

/// What a case returns.
pub type CaseResult<T = ()> = Result<T, Failure>;

/// Why a case did not pass.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Failure {
    /// The contract says this, and the port did something else.
    Broken(String),
    /// The backend can't be asked this ([`Abilities`](crate::Abilities)); the suite's table shows it.
    Skipped(String),
}

impl Failure {
    /// The case can't be run here, because `reason`.
    pub fn skipped(reason: impl Into<String>) -> Self {
        Self::Skipped(reason.into())
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Broken(what) => f.write_str(what),
            Self::Skipped(why) => write!(f, "skipped: {why}"),
        }
    }
}

impl From<Error> for Failure {
    #[track_caller]
    fn from(error: Error) -> Self {
        let at = std::panic::Location::caller();
        Self::Broken(format!("{}:{}: unexpected error ({:?}): {error}", at.file(), at.line(), error.kind()))
    }
}

/// Ends the case unless the condition holds: `check!(page.next.is_none(), "the last page of {table} has no token")`.
#[macro_export]
macro_rules! check {
    ($condition:expr, $($expectation:tt)+) => {
        if !$condition {
            return Err($crate::Failure::Broken(format!(
                "{}:{}: {} (not so: {})", file!(), line!(), format!($($expectation)+), stringify!($condition)
            )));
        }
    };
}

/// Ends the case unless both values are equal, and shows both.
#[macro_export]
macro_rules! check_eq {
    ($got:expr, $want:expr, $($expectation:tt)+) => {
        match (&$got, &$want) {
            (got, want) => {
                if got != want {
                    return Err($crate::Failure::Broken(format!(
                        "{}:{}: {}\n     got {}\n    want {}", file!(), line!(), format!($($expectation)+),
                        $crate::check::shortened(got), $crate::check::shortened(want)
                    )));
                }
            }
        }
    };
}

/// The debug form of `value`, cut where it is too long to read.
#[must_use]
pub fn shortened<T: fmt::Debug + ?Sized>(value: &T) -> String {
    const MOST: usize = 1_500;
    let text = format!("{value:?}");
    match text.char_indices().nth(MOST) {
        Some((end, _)) => format!("{}... ({} characters)", &text[..end], text.len()),
        None => text,
    }
}

/// Checks that `result` is an error of `kind` and returns the error; `call` says what was asked for.
#[track_caller]
pub fn refused<T>(result: millstream_core::Result<T>, kind: ErrorKind, call: &str) -> CaseResult<Error> {
    let at = std::panic::Location::caller();
    match result {
        Ok(_) => Err(Failure::Broken(format!("{}:{}: {call} is refused with {kind:?} (it succeeded)", at.file(), at.line()))),
        Err(error) if error.kind() == kind => Ok(error),
        Err(error) => Err(Failure::Broken(format!(
            "{}:{}: {call} is refused with {kind:?} (it was with {:?}: {error})",
            at.file(),
            at.line(),
            error.kind()
        ))),
    }
}
