//! What a URL asks for: from query parameters and a table's specification to a read of a port. Pure.
//!
//! A parameter is a column (`origin=EWR`), a column with an operator (`hour.gte=...`; `eq`, `gt`, `gte`, `lt`, `lte`), or one of
//! `limit`, `page` and `order`. A column of one of these three names is asked for with `.eq`.

use millstream_core::ports::{Bound, PageToken, PartitionQuery};
use millstream_core::{TableKind, TableSpec, Value};

use super::problem::Problem;
use super::settings::HttpSettings;

/// A read, as a port takes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum ReadRequest {
    /// Rows of a partition of an event-store table.
    Partition(PartitionQuery),
    /// The row with this key.
    Key(Vec<Value>),
    /// Rows of a reference table with these values (column index, value): `limit` of them after the first `offset`.
    Filter { equal: Vec<(usize, Value)>, limit: usize, offset: usize },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Operator {
    Eq,
    Gt,
    Gte,
    Lt,
    Lte,
}

impl Operator {
    fn of(text: &str) -> Option<Self> {
        Some(match text {
            "eq" => Self::Eq,
            "gt" => Self::Gt,
            "gte" => Self::Gte,
            "lt" => Self::Lt,
            "lte" => Self::Lte,
            _ => return None,
        })
    }
}

/// The parameters, told apart. Whatever is asked for is taken out of it, so that what is left over was not understood.
#[derive(Default)]
struct Parameters<'a> {
    /// Column index, operator, value. They are few, so that looking through them is the fastest way to one.
    columns: Vec<(usize, Operator, &'a str)>,
    limit: Option<&'a str>,
    page: Option<&'a str>,
    order: Option<&'a str>,
}

/// Reads `parameters` as a request to `table`. The problem says what is missing, wrong or unknown, and shows a right URL.
pub(crate) fn parse<S: AsRef<str>>(table: &TableSpec, parameters: &[(S, S)], settings: &HttpSettings) -> Result<ReadRequest, Problem> {
    let mut given = sort_out(table, parameters)?;
    match table.kind {
        TableKind::EventStore => partition_query(table, &mut given, settings),
        TableKind::Critical | TableKind::Report => key(table, &mut given),
        TableKind::Reference => filter(table, &mut given, settings),
        TableKind::Topic | TableKind::Lake | TableKind::System => {
            let what = match table.kind {
                TableKind::Topic => "a topic",
                TableKind::Lake => "files in a data lake",
                _ => "a system table",
            };
            Err(Problem::not_found(format!(
                "{} is {what} and has no key to read it by: read it by SQL, over the PostgreSQL endpoint or with `millstream sql`",
                table.name
            )))
        }
    }
}

fn sort_out<'a, S: AsRef<str>>(table: &TableSpec, parameters: &'a [(S, S)]) -> Result<Parameters<'a>, Problem> {
    let mut given = Parameters::default();
    let mut unknown = Vec::new();
    for (name, value) in parameters {
        let (name, value) = (name.as_ref(), value.as_ref());
        let slot = match name {
            "limit" => &mut given.limit,
            "page" => &mut given.page,
            "order" => &mut given.order,
            _ => {
                let Some((column, operator)) = column_of(table, name) else {
                    unknown.push(name.to_owned());
                    continue;
                };
                if given.place_of(column, operator).is_some() {
                    return Err(twice(name));
                }
                given.columns.push((column, operator, value));
                continue;
            }
        };
        if slot.replace(value).is_some() {
            return Err(twice(name));
        }
    }
    if unknown.is_empty() {
        return Ok(given);
    }
    let columns: Vec<&str> = table.schema.fields().iter().map(|f| f.name().as_str()).collect();
    let detail = format!(
        "unknown query parameter{} {}; table {} has the columns {}",
        if unknown.len() == 1 { "" } else { "s" },
        unknown.join(", "),
        table.name,
        columns.join(", ")
    );
    Err(Problem::bad_request(detail).with("unknown", unknown).with("example", example(table)))
}

fn column_of(table: &TableSpec, name: &str) -> Option<(usize, Operator)> {
    let index = |column: &str| table.schema.fields().find(column).map(|(index, _)| index);
    if let Some(column) = index(name) {
        return Some((column, Operator::Eq));
    }
    let (column, operator) = name.rsplit_once('.')?;
    Some((index(column)?, Operator::of(operator)?))
}

fn twice(name: &str) -> Problem {
    Problem::bad_request(format!("query parameter {name} is given twice"))
}

impl Parameters<'_> {
    fn place_of(&self, column: usize, operator: Operator) -> Option<usize> {
        self.columns.iter().position(|(c, o, _)| (*c, *o) == (column, operator))
    }

    fn take(&mut self, table: &TableSpec, column: &str, operator: Operator) -> Result<Option<Value>, Problem> {
        let found = table.schema.fields().find(column);
        let (index, field) = found.ok_or_else(|| Problem::bad_request(format!("there is no column {column}")))?;
        let Some(place) = self.place_of(index, operator) else { return Ok(None) };
        let (_, _, text) = self.columns.remove(place);
        match Value::parse(text, field.data_type()) {
            Ok(value) => Ok(Some(value)),
            Err(error) => {
                Err(Problem::bad_request(format!("query parameter {column}: {}", error.message())).with("example", example(table)))
            }
        }
    }

    /// Values of all `columns`, or a problem that names those that are missing.
    fn take_all<'a>(&mut self, table: &TableSpec, columns: impl Iterator<Item = &'a str>) -> Result<Vec<Value>, Problem> {
        let (mut values, mut missing) = (Vec::new(), Vec::new());
        for column in columns {
            match self.take(table, column, Operator::Eq)? {
                Some(value) => values.push(value),
                None => missing.push(column.to_owned()),
            }
        }
        if missing.is_empty() {
            return Ok(values);
        }
        let example = example(table);
        let detail = format!("table {} is read by its key, and {} is missing; for example {example}", table.name, missing.join(", "));
        Err(Problem::bad_request(detail).with("missing", missing).with("example", example))
    }

    fn refuse_paging(&self, table: &TableSpec) -> Result<(), Problem> {
        let given = [("limit", &self.limit), ("page", &self.page), ("order", &self.order)].into_iter().find(|(_, v)| v.is_some());
        match given {
            None => Ok(()),
            Some((name, _)) => {
                Err(Problem::bad_request(format!("{name} has no meaning here: table {} is read one row at a time, by its key", table.name))
                    .with("example", example(table)))
            }
        }
    }

    fn limit(&self, settings: &HttpSettings) -> Result<usize, Problem> {
        match self.limit {
            None => Ok(settings.page_rows_default),
            Some(text) => text.parse().ok().filter(|n| (1..=settings.page_rows_max).contains(n)).ok_or_else(|| {
                Problem::bad_request(format!("limit is {text:?}; it must be a number from 1 to {}", settings.page_rows_max))
            }),
        }
    }

    /// Whatever parameters are still there have no meaning for this read; `why` is asked for where there are any.
    fn refuse_rest(&self, table: &TableSpec, why: impl FnOnce() -> String) -> Result<(), Problem> {
        match self.columns.first() {
            None => Ok(()),
            Some((column, ..)) => {
                let column = table.schema.field(*column).name();
                Err(Problem::bad_request(format!("query parameter {column} can't be used here: {}", why())).with("example", example(table)))
            }
        }
    }
}

fn key(table: &TableSpec, given: &mut Parameters<'_>) -> Result<ReadRequest, Problem> {
    let key = given.take_all(table, table.key.columns())?;
    given.refuse_paging(table)?;
    given.refuse_rest(table, || format!("table {} is read by its whole key, and by nothing else", table.name))?;
    Ok(ReadRequest::Key(key))
}

fn partition_query(table: &TableSpec, given: &mut Parameters<'_>, settings: &HttpSettings) -> Result<ReadRequest, Problem> {
    let partition = given.take_all(table, table.key.partition.iter().map(String::as_str))?;
    let mut query = PartitionQuery { partition, limit: given.limit(settings)?, ..PartitionQuery::default() };
    for column in &table.key.clustering {
        match given.take(table, &column.name, Operator::Eq)? {
            Some(value) => query.prefix.push(value),
            None => {
                let (lower, upper) = (
                    take_bound(table, given, &column.name, Operator::Gte, Operator::Gt)?,
                    take_bound(table, given, &column.name, Operator::Lte, Operator::Lt)?,
                );
                (query.lower, query.upper) = (lower, upper);
                break;
            }
        }
    }
    query.reverse = match given.order {
        None => false,
        Some("reverse") => true,
        Some(other) => {
            return Err(Problem::bad_request(format!(
                "order is {other:?}; it can only be \"reverse\", or be left out for the table's own order"
            )));
        }
    };
    query.page = given.page.map(|token| PageToken(token.to_owned()));
    given.refuse_rest(table, || how_a_partition_is_read(table))?;
    Ok(ReadRequest::Partition(query))
}

fn how_a_partition_is_read(table: &TableSpec) -> String {
    let order: Vec<&str> = table.key.clustering.iter().map(|c| c.name.as_str()).collect();
    if order.is_empty() {
        return format!("table {} is read by its partition key, and has no clustering columns", table.name);
    }
    format!(
        "within a partition, table {} is read by a prefix of its clustering columns ({}): equality from the left without a gap, then a \
         range of the next",
        table.name,
        order.join(", ")
    )
}

fn take_bound(table: &TableSpec, given: &mut Parameters<'_>, column: &str, with: Operator, without: Operator) -> Result<Bound, Problem> {
    match (given.take(table, column, with)?, given.take(table, column, without)?) {
        (None, None) => Ok(Bound::Unbounded),
        (Some(value), None) => Ok(Bound::Included(vec![value])),
        (None, Some(value)) => Ok(Bound::Excluded(vec![value])),
        (Some(_), Some(_)) => Err(Problem::bad_request(format!("column {column} has two bounds on one side"))),
    }
}

fn filter(table: &TableSpec, given: &mut Parameters<'_>, settings: &HttpSettings) -> Result<ReadRequest, Problem> {
    let mut equal = Vec::new();
    for (index, field) in table.schema.fields().iter().enumerate() {
        if let Some(value) = given.take(table, field.name(), Operator::Eq)? {
            equal.push((index, value));
        }
    }
    given.refuse_rest(table, || "reference data is read by equality alone".to_owned())?;
    if given.order.is_some() {
        return Err(Problem::bad_request("order has no meaning here: reference data has no order"));
    }
    let offset = match given.page {
        None => 0,
        Some(token) => {
            token.parse().map_err(|_| Problem::bad_request(format!("page is {token:?}, which no answer gave as its next_page")))?
        }
    };
    Ok(ReadRequest::Filter { equal, limit: given.limit(settings)?, offset })
}

/// A text that differs for reads of `table` that differ: an answer is kept under it.
pub(crate) fn partition_cache_key(table: &str, query: &PartitionQuery) -> String {
    let mut key = row_cache_key(table, &query.partition);
    put_values(&mut key, &query.prefix);
    for bound in [&query.lower, &query.upper] {
        match bound {
            Bound::Unbounded => key.push('*'),
            Bound::Included(values) => {
                key.push('=');
                put_values(&mut key, values);
            }
            Bound::Excluded(values) => {
                key.push('!');
                put_values(&mut key, values);
            }
        }
    }
    key.push(if query.reverse { '<' } else { '>' });
    put(&mut key, &query.limit);
    if let Some(PageToken(token)) = &query.page {
        key.push_str(token);
    }
    key
}

/// The same for a read of one row.
pub(crate) fn row_cache_key(table: &str, values: &[Value]) -> String {
    let mut key = String::with_capacity(128);
    put_text(&mut key, table);
    put_values(&mut key, values);
    key
}

/// Their types are the columns', so what they are need not be said, but where each ends.
fn put_values(key: &mut String, values: &[Value]) {
    put(key, &values.len());
    for value in values {
        match value {
            Value::Bool(v) => put(key, v),
            Value::Int(v) | Value::Timestamp(v) => put(key, v),
            Value::Date(v) => put(key, v),
            Value::Str(v) => put_text(key, v),
            Value::Bytes(v) => {
                put(key, &v.len());
                v.iter().for_each(|byte| put(key, byte));
            }
        }
    }
}

fn put_text(key: &mut String, text: &str) {
    put(key, &text.len());
    key.push_str(text);
}

fn put(key: &mut String, value: &impl std::fmt::Display) {
    use std::fmt::Write;
    // Writing to a String can't fail.
    _ = write!(key, "{value},");
}

/// A right URL for `table`, with values of the right types.
pub(crate) fn example(table: &TableSpec) -> String {
    let columns: Vec<&str> = match table.kind {
        TableKind::EventStore => table.key.partition.iter().map(String::as_str).collect(),
        TableKind::Reference => table.schema.fields().first().map(|f| f.name().as_str()).into_iter().collect(),
        _ => table.key.columns().collect(),
    };
    let parameters: Vec<String> = columns.iter().map(|column| format!("{}={}", encode(column), encode(sample(table, column)))).collect();
    format!("{}?{}", path(&table.name), parameters.join("&"))
}

/// Where `table` is read.
pub(crate) fn path(table: &str) -> String {
    format!("/v1/tables/{}", encode(table))
}

fn sample(table: &TableSpec, column: &str) -> &'static str {
    use arrow::datatypes::DataType as T;
    match table.schema.field_with_name(column).map(arrow::datatypes::Field::data_type) {
        Ok(T::Date32) => "2013-07-22",
        Ok(T::Timestamp(..)) => "2013-07-22T19:00:00Z",
        Ok(T::Boolean) => "true",
        Ok(T::Int8 | T::Int16 | T::Int32 | T::Int64) => "1",
        Ok(T::Binary) => "00ff",
        _ => "TEXT",
    }
}

/// `text` percent-encoded for a query or path segment, keeping the characters of dates and times readable (RFC 3986, 3.3 and 3.4 allow `:`).
pub(crate) fn encode(text: &str) -> String {
    use std::fmt::Write;
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' | b':' => out.push(char::from(byte)),
            // Writing to a String can't fail.
            _ => _ = write!(out, "%{byte:02X}"),
        }
    }
    out
}

#[cfg(test)]
mod tests;
