//! The run-time settings that PostgreSQL's clients read and set: SET, RESET, SHOW and `current_setting`, a set of them for each connection.
//!
//! Few have an effect (`statement_timeout`, `search_path`, and those that say how values are written); the others are kept and shown, so that
//! a client that sets what it always sets is content.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use async_trait::async_trait;
use datafusion::common::{DFSchema, ParamValues};
use datafusion::logical_expr::{EmptyRelation, LogicalPlan};
use datafusion::prelude::SessionContext;
use datafusion::sql::sqlparser::ast::{ContextModifier, Reset, Set, Statement};
use datafusion_postgres::QueryHook;
use datafusion_postgres::hooks::HookClient;
use datafusion_postgres::pgwire::api::results::{DataRowEncoder, FieldFormat, FieldInfo, QueryResponse, Response, Tag};
use datafusion_postgres::pgwire::api::{ClientInfo, Type};
use datafusion_postgres::pgwire::error::PgWireResult;
use datafusion_postgres::pgwire::messages::PgWireBackendMessage;
use datafusion_postgres::pgwire::messages::startup::ParameterStatus;

use super::errors::error;
use super::statements::literal;

/// The version of PostgreSQL whose catalog and behaviour clients may expect.
pub(crate) const POSTGRES_VERSION: &str = "16.6";

/// Settings whose value every client is told at startup and on change, with the spelling that clients expect (PostgreSQL documentation, 55.2.7).
const REPORTED: [(&str, &str); 14] = [
    ("application_name", "application_name"),
    ("client_encoding", "client_encoding"),
    ("datestyle", "DateStyle"),
    ("default_transaction_read_only", "default_transaction_read_only"),
    ("in_hot_standby", "in_hot_standby"),
    ("integer_datetimes", "integer_datetimes"),
    ("intervalstyle", "IntervalStyle"),
    ("is_superuser", "is_superuser"),
    ("search_path", "search_path"),
    ("server_encoding", "server_encoding"),
    ("server_version", "server_version"),
    ("session_authorization", "session_authorization"),
    ("standard_conforming_strings", "standard_conforming_strings"),
    ("timezone", "TimeZone"),
];

/// What can't be set because it is a fact about the server.
const FACTS: [&str; 10] = [
    "in_hot_standby",
    "integer_datetimes",
    "is_superuser",
    "lc_collate",
    "lc_ctype",
    "max_connections",
    "max_identifier_length",
    "server_encoding",
    "server_version",
    "server_version_num",
];

/// A connection's settings, by name in lower case.
#[derive(Debug)]
pub(crate) struct Variables {
    defaults: BTreeMap<String, String>,
    values: RwLock<BTreeMap<String, String>>,
}

impl Variables {
    /// The defaults of a server of Millstream `version` that gives statements `timeout`.
    pub fn new(version: &str, timeout: Option<Duration>) -> Self {
        let server_version = format!("{POSTGRES_VERSION} (Millstream {version})");
        let timeout = timeout.map_or_else(|| "0".to_owned(), |t| t.as_millis().to_string());
        let defaults: BTreeMap<String, String> = [
            ("application_name", ""),
            ("bytea_output", "hex"),
            ("client_encoding", "UTF8"),
            ("client_min_messages", "notice"),
            ("datestyle", "ISO, MDY"),
            ("default_tablespace", ""),
            ("default_transaction_isolation", "read committed"),
            ("default_transaction_read_only", "on"),
            ("extra_float_digits", "1"),
            ("idle_in_transaction_session_timeout", "0"),
            ("in_hot_standby", "off"),
            ("integer_datetimes", "on"),
            ("intervalstyle", "postgres"),
            ("is_superuser", "off"),
            ("lc_collate", "C.UTF-8"),
            ("lc_ctype", "C.UTF-8"),
            ("lc_messages", "C.UTF-8"),
            ("lc_monetary", "C.UTF-8"),
            ("lock_timeout", "0"),
            ("max_connections", "100"),
            ("max_identifier_length", "63"),
            ("row_security", "on"),
            ("search_path", "public"),
            ("server_encoding", "UTF8"),
            ("server_version", &server_version),
            ("server_version_num", "160006"),
            ("session_authorization", ""),
            ("ssl", "off"),
            ("standard_conforming_strings", "on"),
            ("statement_timeout", &timeout),
            ("timezone", "UTC"),
            ("transaction_isolation", "read committed"),
            ("transaction_read_only", "on"),
        ]
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect();
        Self { values: RwLock::new(defaults.clone()), defaults }
    }

    /// Takes over what the client says at startup: settings by name, and `options` of the form `-c name=value`
    /// (PostgreSQL documentation, 55.7, StartupMessage). What is not a setting is left out.
    pub fn start(&self, parameters: &std::collections::HashMap<String, String>) {
        for (name, value) in parameters {
            match name.as_str() {
                "user" => self.put("session_authorization", value),
                "options" => {
                    for option in value.split("-c").filter_map(|o| o.trim().trim_start_matches("--").split_once('=')) {
                        self.put(&option.0.to_lowercase(), option.1.trim());
                    }
                }
                name if self.defaults.contains_key(&name.to_lowercase()) => self.put(&name.to_lowercase(), value),
                _ => {}
            }
        }
    }

    /// The value of a setting; `None` for one that isn't known and was never set.
    pub fn get(&self, name: &str) -> Option<String> {
        self.values.read().unwrap_or_else(PoisonError::into_inner).get(&name.to_lowercase()).cloned()
    }

    /// Sets a setting, except for facts about the server.
    pub fn put(&self, name: &str, value: &str) {
        if !FACTS.contains(&name) {
            self.values.write().unwrap_or_else(PoisonError::into_inner).insert(name.to_owned(), value.to_owned());
        }
    }

    /// All settings by name.
    pub fn all(&self) -> BTreeMap<String, String> {
        self.values.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// What the client is told at startup, with the names as it expects them.
    pub fn reported(&self) -> Vec<(String, String)> {
        REPORTED.iter().filter_map(|(name, shown)| Some(((*shown).to_owned(), self.get(name)?))).collect()
    }

    /// How long a statement may take.
    pub fn statement_timeout(&self) -> Option<Duration> {
        duration(&self.get("statement_timeout")?).filter(|d| !d.is_zero())
    }

    fn reset(&self, name: Option<&str>) {
        let mut values = self.values.write().unwrap_or_else(PoisonError::into_inner);
        match name {
            None => values.clone_from(&self.defaults),
            Some(name) => match self.defaults.get(name) {
                Some(default) => _ = values.insert(name.to_owned(), default.clone()),
                None => _ = values.remove(name),
            },
        }
    }
}

/// `5000`, `5000ms`, `5s`, `5min`, `1h` or `1d` (PostgreSQL documentation, 20.1.1); a bare number is milliseconds.
fn duration(text: &str) -> Option<Duration> {
    let text = text.trim();
    let digits = text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let (number, unit) = text.split_at(digits);
    let number: u64 = number.parse().ok()?;
    let milliseconds = match unit.trim() {
        "" | "ms" => 1,
        "s" => 1_000,
        "min" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => return None,
    };
    Some(Duration::from_millis(number.saturating_mul(milliseconds)))
}

/// Answers SET, RESET, SHOW and DISCARD.
pub(crate) struct VariablesHook {
    variables: Arc<Variables>,
}

impl VariablesHook {
    pub fn new(variables: Arc<Variables>) -> Self {
        Self { variables }
    }

    async fn assign(&self, name: &str, value: &str, session: &SessionContext, client: &mut dyn HookClient) -> PgWireResult<Response> {
        let name = match name.to_lowercase().as_str() {
            "time zone" => "timezone".to_owned(),
            other => other.to_owned(),
        };
        if name.starts_with("datafusion.") {
            return Err(error("42501", format!("permission denied to set parameter \"{name}\"")));
        }
        if FACTS.contains(&name.as_str()) {
            return Err(error("55P02", format!("parameter \"{name}\" cannot be changed")));
        }
        if name == "statement_timeout" && duration(value).is_none() {
            return Err(error("22023", format!("invalid value for parameter \"statement_timeout\": \"{value}\"")));
        }
        if value.eq_ignore_ascii_case("default") {
            self.variables.reset(Some(&name));
        } else {
            self.variables.put(&name, value);
        }
        let value = self.variables.get(&name).unwrap_or_default();
        if name == "search_path" {
            search(session, &value);
        }
        // Where pgwire looks for how values are to be written.
        client.metadata_mut().insert(name.clone(), value.clone());
        if let Some((_, shown)) = REPORTED.iter().find(|(reported, _)| *reported == name) {
            let status = ParameterStatus::new((*shown).to_owned(), value);
            client.send_message(PgWireBackendMessage::ParameterStatus(status)).await?;
        }
        Ok(Response::Execution(Tag::new("SET")))
    }

    async fn set(&self, set: &Set, session: &SessionContext, client: &mut dyn HookClient) -> PgWireResult<Response> {
        match set {
            Set::SingleAssignment { scope, variable, values, .. } => {
                if matches!(scope, Some(ContextModifier::Global)) {
                    return Err(error("42601", "SET GLOBAL is not PostgreSQL's"));
                }
                let value: Vec<String> = values.iter().map(literal).collect();
                self.assign(&variable.to_string().replace('"', ""), &value.join(", "), session, client).await
            }
            Set::SetTimeZone { value, .. } => self.assign("timezone", &literal(value), session, client).await,
            Set::SetNames { charset_name, .. } => self.assign("client_encoding", &charset_name.value, session, client).await,
            // Roles and transaction modes: there is one role, and every transaction reads.
            _ => Ok(Response::Execution(Tag::new("SET"))),
        }
    }

    fn show(&self, name: &str) -> PgWireResult<Response> {
        let name = match name {
            "time zone" => "timezone",
            "transaction isolation level" => "transaction_isolation",
            "session authorization" => "session_authorization",
            other => other,
        };
        if name == "all" {
            let rows: Vec<Vec<String>> = self.variables.all().into_iter().map(|(name, value)| vec![name, value, String::new()]).collect();
            return texts(&["name", "setting", "description"], &rows);
        }
        match self.variables.get(name) {
            Some(value) => {
                let shown = REPORTED.iter().find(|(reported, _)| *reported == name).map_or(name, |(_, shown)| shown);
                texts(&[shown], &[vec![value]])
            }
            None => Err(error("42704", format!("unrecognized configuration parameter \"{name}\""))),
        }
    }

    async fn answer(&self, statement: &Statement, session: &SessionContext, client: &mut dyn HookClient) -> Option<PgWireResult<Response>> {
        match statement {
            Statement::Set(set) => Some(self.set(set, session, client).await),
            Statement::Reset(reset) => Some(match &reset.reset {
                Reset::ALL => {
                    self.variables.reset(None);
                    search(session, "public");
                    Ok(Response::Execution(Tag::new("RESET")))
                }
                Reset::ConfigurationParameter(name) => {
                    self.assign(&name.to_string(), "default", session, client).await.map(|_| Response::Execution(Tag::new("RESET")))
                }
            }),
            Statement::ShowVariable { .. } => Some(self.show(&shown_name(statement)?)),
            Statement::Discard { .. } => {
                self.variables.reset(None);
                search(session, "public");
                Some(Ok(Response::Execution(Tag::new("DISCARD ALL"))))
            }
            Statement::LISTEN { .. } => Some(Ok(Response::Execution(Tag::new("LISTEN")))),
            Statement::UNLISTEN { .. } => Some(Ok(Response::Execution(Tag::new("UNLISTEN")))),
            _ => None,
        }
    }
}

fn shown_name(statement: &Statement) -> Option<String> {
    let Statement::ShowVariable { variable } = statement else { return None };
    Some(variable.iter().map(|word| word.value.to_lowercase()).collect::<Vec<_>>().join(" "))
}

/// Unqualified names are looked up in the first schema of `path` that exists.
fn search(session: &SessionContext, path: &str) {
    let state = session.state_ref();
    let mut state = state.write();
    let catalog = state.config_options().catalog.default_catalog.clone();
    let schemas = state.catalog_list().catalog(&catalog).map(|c| c.schema_names()).unwrap_or_default();
    let first = path.split(',').map(|s| s.trim().trim_matches('"')).find(|s| schemas.iter().any(|known| known == s));
    if let Some(first) = first {
        state.config_mut().options_mut().catalog.default_schema = first.to_owned();
    }
}

/// Rows of text columns.
fn texts(columns: &[&str], rows: &[Vec<String>]) -> PgWireResult<Response> {
    let fields: Vec<FieldInfo> =
        columns.iter().map(|c| FieldInfo::new((*c).to_owned(), None, None, Type::TEXT, FieldFormat::Text)).collect();
    let fields = Arc::new(fields);
    let mut encoder = DataRowEncoder::new(fields.clone());
    let mut encoded = Vec::with_capacity(rows.len());
    for row in rows {
        for value in row {
            encoder.encode_field(&Some(value.as_str()))?;
        }
        encoded.push(Ok(encoder.take_row()));
    }
    let mut response = QueryResponse::new(fields, futures::stream::iter(encoded));
    response.set_command_tag("SHOW");
    Ok(Response::Query(response))
}

/// A plan for a statement that a hook answers: it only says which columns the answer has.
fn answered(columns: &[&str]) -> PgWireResult<LogicalPlan> {
    use datafusion::arrow::datatypes::{DataType, Field, Schema};
    let fields: Vec<Field> = columns.iter().map(|c| Field::new(*c, DataType::Utf8, false)).collect();
    let schema = DFSchema::try_from(Schema::new(fields)).map_err(|e| error("XX000", e.to_string()))?;
    Ok(LogicalPlan::EmptyRelation(EmptyRelation { produce_one_row: false, schema: Arc::new(schema) }))
}

#[async_trait]
impl QueryHook for VariablesHook {
    async fn handle_simple_query(
        &self,
        statement: &Statement,
        session: &SessionContext,
        client: &mut dyn HookClient,
    ) -> Option<PgWireResult<Response>> {
        self.answer(statement, session, client).await
    }

    async fn handle_extended_parse_query(
        &self,
        statement: &Statement,
        _session: &SessionContext,
        _client: &(dyn ClientInfo + Send + Sync),
    ) -> Option<PgWireResult<LogicalPlan>> {
        match statement {
            Statement::Set(_) | Statement::Reset(_) | Statement::Discard { .. } | Statement::LISTEN { .. } | Statement::UNLISTEN { .. } => {
                Some(answered(&[]))
            }
            Statement::ShowVariable { .. } => match shown_name(statement)?.as_str() {
                "all" => Some(answered(&["name", "setting", "description"])),
                name => Some(answered(&[name])),
            },
            _ => None,
        }
    }

    async fn handle_extended_query(
        &self,
        statement: &Statement,
        _plan: &LogicalPlan,
        _parameters: &ParamValues,
        session: &SessionContext,
        client: &mut dyn HookClient,
    ) -> Option<PgWireResult<Response>> {
        self.answer(statement, session, client).await
    }
}

#[cfg(test)]
mod tests;
