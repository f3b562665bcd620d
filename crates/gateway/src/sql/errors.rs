//! Errors as PostgreSQL's clients expect them: a SQLSTATE for each (PostgreSQL documentation, appendix A), classified in one place.

use datafusion::arrow::error::ArrowError;
use datafusion::common::SchemaError;
use datafusion::error::DataFusionError;
use datafusion::sql::sqlparser::parser::ParserError;
use datafusion_postgres::pgwire::api::{ClientInfo, ErrorHandler};
use datafusion_postgres::pgwire::error::{ErrorInfo, PgWireError};
use millstream_core::{Error, ErrorKind};

/// An error with `code` and `message`.
pub(crate) fn error(code: &str, message: impl Into<String>) -> PgWireError {
    PgWireError::UserError(Box::new(ErrorInfo::new("ERROR".to_owned(), code.to_owned(), message.into())))
}

/// The same with a hint.
pub(crate) fn error_with_hint(code: &str, message: impl Into<String>, hint: &str) -> PgWireError {
    let mut info = ErrorInfo::new("ERROR".to_owned(), code.to_owned(), message.into());
    info.hint = Some(hint.to_owned());
    PgWireError::UserError(Box::new(info))
}

/// What a statement that writes is answered with.
pub(crate) fn read_only(what: &str) -> PgWireError {
    error_with_hint(
        "25006",
        format!("cannot execute {what} in a read-only transaction"),
        "Millstream's SQL endpoint only reads: rows are written by the pipeline's flows, from its topics.",
    )
}

/// DataFusion's error in the words that a PostgreSQL client gets, with the hint, where that is not about psql.
#[must_use]
pub fn in_words(error: &DataFusionError) -> String {
    let info = classified(error);
    match info.hint.filter(|hint| !hint.starts_with('\\')) {
        Some(hint) => format!("{} ({})", info.message, hint.trim_end_matches('.')),
        None => info.message,
    }
}

/// DataFusion's error as PostgreSQL says it.
pub(crate) fn classified(error: &DataFusionError) -> ErrorInfo {
    let root = root(error);
    let info = |code: &str, message: String| ErrorInfo::new("ERROR".to_owned(), code.to_owned(), message);
    match root {
        DataFusionError::SQL(error, _) => syntax(error),
        DataFusionError::SchemaError(schema, _) => match schema.as_ref() {
            SchemaError::FieldNotFound { field, valid_fields } => {
                let mut info = info("42703", format!("column \"{}\" does not exist", field.flat_name().replace('"', "")));
                let valid: Vec<String> = valid_fields.iter().map(|f| f.flat_name()).collect();
                if !valid.is_empty() {
                    info.hint = Some(format!("There are: {}.", valid.join(", ")));
                }
                info
            }
            SchemaError::AmbiguousReference { .. } => info("42702", root.strip_backtrace()),
            SchemaError::DuplicateQualifiedField { .. } | SchemaError::DuplicateUnqualifiedField { .. } => {
                info("42701", root.strip_backtrace())
            }
        },
        DataFusionError::Plan(message) => planning(message),
        DataFusionError::NotImplemented(message) => info("0A000", message.clone()),
        DataFusionError::ResourcesExhausted(message) => info("53200", message.clone()),
        DataFusionError::ArrowError(error, _) => match error.as_ref() {
            ArrowError::DivideByZero => info("22012", "division by zero".to_owned()),
            ArrowError::ParseError(message) | ArrowError::CastError(message) => info("22P02", message.clone()),
            ArrowError::ArithmeticOverflow(message) => info("22003", message.clone()),
            other => info("22000", other.to_string()),
        },
        DataFusionError::Execution(message) => info("22000", message.clone()),
        DataFusionError::External(error) => match error.downcast_ref::<Error>() {
            Some(ours) => info(state_of(ours.kind()), ours.to_string()),
            None => info("XX000", error.to_string()),
        },
        other => info("XX000", other.strip_backtrace()),
    }
}

/// What is behind the wrappings.
fn root(error: &DataFusionError) -> &DataFusionError {
    match error {
        DataFusionError::Context(_, inner) | DataFusionError::Diagnostic(_, inner) => root(inner),
        DataFusionError::Shared(inner) => root(inner),
        DataFusionError::Collection(all) => all.first().map_or(error, root),
        DataFusionError::External(inner) => inner.downcast_ref::<DataFusionError>().map_or(error, root),
        DataFusionError::ArrowError(inner, _) => match inner.as_ref() {
            ArrowError::ExternalError(inner) => inner.downcast_ref::<DataFusionError>().map_or(error, root),
            _ => error,
        },
        _ => error,
    }
}

fn syntax(error: &ParserError) -> ErrorInfo {
    let message = match error {
        ParserError::TokenizerError(message) | ParserError::ParserError(message) => message.clone(),
        ParserError::RecursionLimitExceeded => "the statement is nested too deeply".to_owned(),
    };
    ErrorInfo::new("ERROR".to_owned(), "42601".to_owned(), format!("syntax error: {message}"))
}

/// DataFusion's planner tells its errors apart by their text alone.
fn planning(message: &str) -> ErrorInfo {
    let info = |code: &str, message: String| ErrorInfo::new("ERROR".to_owned(), code.to_owned(), message);
    if let Some(name) = message.strip_prefix("table '").and_then(|rest| rest.strip_suffix("' not found")) {
        let mut parts = name.split('.').collect::<Vec<_>>();
        let table = parts.pop().unwrap_or(name);
        let shown = match parts.pop() {
            Some(schema) if schema != "public" => format!("{schema}.{table}"),
            _ => table.to_owned(),
        };
        let mut info = info("42P01", format!("relation \"{shown}\" does not exist"));
        info.hint = Some("\\dt lists the tables; those about Millstream itself are in the schema system.".to_owned());
        return info;
    }
    let code = if message.starts_with("Invalid function")
        || message.contains("No function matches")
        || message.contains("Failed to coerce arguments")
    {
        "42883"
    } else if message.contains("must appear in the GROUP BY") || message.contains("must be in GROUP BY") {
        "42803"
    } else {
        "42000"
    };
    info(code, message.to_owned())
}

fn state_of(kind: ErrorKind) -> &'static str {
    match kind {
        ErrorKind::InvalidInput | ErrorKind::OutOfRange => "22023",
        ErrorKind::NotFound => "42P01",
        ErrorKind::AlreadyExists => "42710",
        ErrorKind::Unavailable => "57P03",
        ErrorKind::Exhausted => "53000",
        ErrorKind::Unsupported => "0A000",
        ErrorKind::Corrupt => "XX001",
        _ => "XX000",
    }
}

/// Gives every error its SQLSTATE just before it is sent, wherever in the protocol it came up.
pub(crate) struct SqlStates;

impl ErrorHandler for SqlStates {
    fn on_error<C>(&self, _client: &C, error: &mut PgWireError)
    where
        C: ClientInfo,
    {
        let info = match error {
            PgWireError::ApiError(inner) => {
                if let Some(error) = inner.downcast_ref::<DataFusionError>() {
                    Some(classified(error))
                } else if let Some(error) = inner.downcast_ref::<Box<DataFusionError>>() {
                    Some(classified(error))
                } else {
                    inner.downcast_ref::<ParserError>().map(syntax)
                }
            }
            // A transaction after an error: PostgreSQL's code for it is in_failed_sql_transaction.
            PgWireError::UserError(info) if info.code == "25P01" && info.message.contains("is aborted") => {
                info.code = "25P02".to_owned();
                None
            }
            PgWireError::PortalNotFound(name) => {
                Some(ErrorInfo::new("ERROR".into(), "34000".into(), format!("portal \"{name}\" does not exist")))
            }
            PgWireError::StatementNotFound(name) => {
                Some(ErrorInfo::new("ERROR".into(), "26000".into(), format!("prepared statement \"{name}\" does not exist")))
            }
            _ => None,
        };
        if let Some(info) = info {
            if info.code.starts_with("XX") {
                tracing::error!(code = info.code, message = info.message, "a SQL statement failed");
            }
            *error = PgWireError::UserError(Box::new(info));
        }
    }
}

#[cfg(test)]
mod tests;
