//! Reference data: where it lies by the SQL, and where by the configuration; and its columns.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use arrow::datatypes::{Field, Schema, SchemaRef};
use millstream_core::{KeySpec, TableKind};

use super::settings::{Settings, looks_like_connection};
use super::tables::{schema, spec};
use crate::diagnostic::{Problem, Sources};
use crate::graph::{Binding, DatabaseSystem, Reference, ReferenceDatabase, ReferenceFiles, ReferenceFormat, ReferenceOrigin, Table};
use crate::parsed::Parsed;
use crate::suggest;
use crate::surroundings::Rebinding;
use crate::syntax::duration;
use crate::syntax::statement::Head;

const DEFAULT_REFRESH: Duration = Duration::from_secs(60);

/// What `USING` can say of reference data.
pub(super) const FORMATS: [&str; 5] = ["parquet", "csv", "json", "postgresql", "mysql"];

/// Who holds reference data, as `using` has it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Holder {
    Files(ReferenceFormat),
    Database(DatabaseSystem),
}

fn holder(using: &str) -> Option<Holder> {
    Some(match using {
        "parquet" => Holder::Files(ReferenceFormat::Parquet),
        "csv" => Holder::Files(ReferenceFormat::Csv),
        "json" => Holder::Files(ReferenceFormat::Json),
        "postgresql" => Holder::Database(DatabaseSystem::Postgresql),
        "mysql" => Holder::Database(DatabaseSystem::Mysql),
        _ => return None,
    })
}

/// A reference table of a statement that is one, and that says (or whose configuration says) where its data lies.
pub(crate) fn found(parsed: &Parsed, file: usize, head: &Head) -> Option<(String, Reference, Option<SchemaRef>)> {
    holder(&head.using.as_ref()?.value)?;
    let mut settings = Settings::new(head);
    let own = written(&parsed.sources, file, head, &mut settings)?;
    let reference = match parsed.surroundings.rebindings.get(&head.name.value) {
        Some(to) => rebound(own, to, &head.name.value).ok()?,
        None => own,
    };
    Some((head.name.value.clone(), reference, head.columns.as_deref().map(schema)))
}

/// What the statement says.
fn written(sources: &Sources, file: usize, head: &Head, settings: &mut Settings) -> Option<Reference> {
    let holder = holder(&head.using.as_ref()?.value)?;
    let refresh = settings.duration("refresh", "1 minute").unwrap_or(DEFAULT_REFRESH);
    let origin = match holder {
        Holder::Files(format) => ReferenceOrigin::Files(files(sources, file, head, format, settings)?),
        Holder::Database(system) => ReferenceOrigin::Database(database(head, system, settings)?),
    };
    Some(Reference { origin, refresh })
}

fn files(sources: &Sources, file: usize, head: &Head, format: ReferenceFormat, settings: &mut Settings) -> Option<ReferenceFiles> {
    if format == ReferenceFormat::Csv
        && let Some(header) = settings.take("header")
        && header.value != "true"
    {
        settings.bad(header, "header", "a CSV file begins with a line of names", "true");
    }
    let Some(location) = &head.location else {
        settings.problem(
            Problem::new("millstream::missing_option", head.name.place, format!("reference table `{}` has no LOCATION", head.name.value))
                .help("write where the file lies: USING parquet LOCATION 'reference/data.parquet'"),
        );
        return None;
    };
    let scheme = location.value.split_once(':').is_some_and(|(scheme, _)| scheme.len() > 1 && !scheme.contains(['/', '\\', '.']));
    if scheme || looks_like_connection(&location.value) {
        settings.problem(
            Problem::new("millstream::connection_in_sql", location.place, "LOCATION names a system; a pipeline names a path alone")
                .help("write a path relative to this file; another place belongs into millstream.toml, under [tables.NAME]"),
        );
        return None;
    }
    if location.value.trim().is_empty() {
        settings.problem(Problem::new("millstream::bad_option", location.place, "LOCATION is empty").help("write the path of a file"));
        return None;
    }
    let folder = Path::new(sources.name(file)).parent().map_or_else(PathBuf::new, Path::to_path_buf);
    Some(ReferenceFiles { format, location: folder.join(&location.value).to_string_lossy().into_owned() })
}

fn database(head: &Head, system: DatabaseSystem, settings: &mut Settings) -> Option<ReferenceDatabase> {
    if let Some(location) = &head.location {
        let problem = Problem::new("millstream::misplaced_clause", location.place, "a database's table has no LOCATION");
        settings.problem(problem.help("write OPTIONS (dbtable 'table'); where the database is, says millstream.toml"));
    }
    let filter = settings.take("filter");
    if let Some(empty) = filter.filter(|f| f.value.trim().is_empty()) {
        settings.bad(empty, "filter", "it is empty", "active = true");
    }
    let Some(table) = settings.take("dbtable") else {
        let message = format!("`{}` does not say which table it is: 'dbtable' is missing", head.name.value);
        let help = format!("write OPTIONS (dbtable '{}')", head.name.value);
        settings.problem(Problem::new("millstream::missing_option", head.name.place, message).help(help));
        return None;
    };
    if let Err(why) = table_name(&table.value) {
        settings.bad(table, "dbtable", why, "schema.table");
        return None;
    }
    Some(ReferenceDatabase { system, table: table.value.clone(), filter: filter.map(|f| f.value.clone()) })
}

/// Whether `name` is `table` or `schema.table`; else why not.
fn table_name(name: &str) -> Result<(), &'static str> {
    let parts: Vec<&str> = name.split('.').collect();
    if parts.len() > 2 || parts.iter().any(|p| p.trim().is_empty()) {
        return Err("it is neither a table nor a schema and a table");
    }
    if name.contains(|c: char| c.is_whitespace() || "()\"'`;".contains(c)) {
        return Err("a query can't stand here, a table or a view can");
    }
    Ok(())
}

/// `own` as the configuration changes it. The problems name keys of the configuration.
fn rebound(own: Reference, to: &Rebinding, table: &str) -> Result<Reference, Vec<Problem>> {
    let key = |key: &str| format!("tables.{table}.{key}");
    let mut problems = Vec::new();
    let before = match &own.origin {
        ReferenceOrigin::Files(files) => Holder::Files(files.format),
        ReferenceOrigin::Database(database) => Holder::Database(database.system),
    };
    let after = match to.using.as_deref().map(|using| (using, holder(using))) {
        None => before,
        Some((_, Some(holder))) => holder,
        Some((using, None)) => {
            let listed = format!("write one of {}", suggest::list(FORMATS));
            let message = format!("there is nothing called `{using}` to hold reference data");
            let problem = Problem::in_setting("millstream::unknown_format", key("using"), message);
            return Err(vec![problem.help(suggest::did_you_mean(using, FORMATS, &listed))]);
        }
    };
    let mut refuse = |set: &Option<String>, name: &str, what: &str| {
        if set.is_some() {
            let message = format!("{what} has none");
            problems.push(Problem::in_setting("millstream::unknown_option", key(name), message).help("take it out, or change `using`"));
        }
    };
    match after {
        Holder::Files(_) => {
            refuse(&to.dbtable, "dbtable", "reference data in files");
            refuse(&to.filter, "filter", "reference data in files");
        }
        Holder::Database(_) => refuse(&to.location, "location", "a database's table"),
    }
    let origin = match (after, own.origin) {
        (Holder::Files(format), own) => {
            let location = match (&to.location, own) {
                (Some(location), _) => Some(location.clone()),
                (None, ReferenceOrigin::Files(files)) => Some(files.location),
                (None, ReferenceOrigin::Database(_)) => None,
            };
            location.filter(|l| !l.trim().is_empty()).map(|location| ReferenceOrigin::Files(ReferenceFiles { format, location }))
        }
        (Holder::Database(system), own) => {
            let (own_table, own_filter) = match own {
                ReferenceOrigin::Database(database) => (Some(database.table), database.filter),
                ReferenceOrigin::Files(_) => (None, None),
            };
            let table = to.dbtable.clone().or(own_table);
            if let Some(Err(why)) = table.as_deref().map(table_name) {
                problems.push(Problem::in_setting("millstream::bad_option", key("dbtable"), why).help("write dbtable = \"schema.table\""));
            }
            let filter = to.filter.clone().or(own_filter);
            table.map(|table| ReferenceOrigin::Database(ReferenceDatabase { system, table, filter }))
        }
    };
    if origin.is_none() {
        let (name, remedy) = match after {
            Holder::Files(_) => ("location", "write where the files are: a path, or a URL such as s3://bucket/folder"),
            Holder::Database(_) => ("dbtable", "write which table it is: dbtable = \"schema.table\""),
        };
        problems.push(Problem::in_setting("millstream::missing_option", key(name), "it is missing").help(remedy));
    }
    let refresh = match to.refresh.as_deref().map(duration::parse) {
        None => own.refresh,
        Some(Ok(refresh)) => refresh,
        Some(Err(why)) => {
            problems.push(Problem::in_setting("millstream::bad_option", key("refresh"), why).help("write refresh = \"1 minute\""));
            own.refresh
        }
    };
    match origin {
        Some(origin) if problems.is_empty() => Ok(Reference { origin, refresh }),
        _ => Err(problems),
    }
}

/// What is wrong with what the configuration says of a streaming table of files: it can only lie elsewhere.
pub(super) fn moved(to: &Rebinding, table: &str) -> Vec<Problem> {
    let set = [("using", &to.using), ("dbtable", &to.dbtable), ("filter", &to.filter), ("refresh", &to.refresh)];
    let refused = set.into_iter().filter(|(_, value)| value.is_some());
    let problem = |(key, _)| {
        Problem::in_setting("millstream::unknown_option", format!("tables.{table}.{key}"), "a streaming table of files has none")
            .help("take it out: of such a table only the location is said")
    };
    refused.map(problem).collect()
}

/// Checks `CREATE TABLE ... USING` one of [`FORMATS`]. `fetched` is the schema that the caller read, where no columns are declared.
pub(super) fn reference_table(
    parsed: &Parsed,
    file: usize,
    head: &Head,
    fetched: Option<&Result<SchemaRef, String>>,
) -> Result<Table, Vec<Problem>> {
    let mut settings = Settings::new(head);
    let own = written(&parsed.sources, file, head, &mut settings);
    let mut problems = Vec::new();
    let rebinding = parsed.surroundings.rebindings.get(&head.name.value);
    let reference = match (own, rebinding) {
        (Some(own), Some(to)) => rebound(own, to, &head.name.value).map_err(|more| problems.extend(more)).ok(),
        (own, _) => own,
    };
    let columns = match (&head.columns, fetched) {
        (Some(columns), _) => Some(schema(columns)),
        (None, Some(Ok(schema))) => readable(schema, head, &mut settings),
        (None, Some(Err(why))) => {
            settings.problem(unreadable(head, rebinding.is_some(), why));
            None
        }
        (None, None) => None,
    };
    if let (Some(reference), Some(columns)) = (&reference, &head.columns) {
        let plain = match &reference.origin {
            ReferenceOrigin::Files(files) if files.format == ReferenceFormat::Csv => "a line of CSV holds plain values only",
            ReferenceOrigin::Files(_) => "",
            ReferenceOrigin::Database(_) => "a database's nested values are read as text",
        };
        for column in columns.iter().filter(|c| !plain.is_empty() && c.data_type.is_nested()) {
            let message = format!("column `{}` is nested, and {plain}", column.name.value);
            let help = "write STRING, and take it apart with from_json";
            settings.problem(Problem::new("millstream::unsupported_type", column.name.place, message).help(help));
        }
    }
    let problems = [settings.finish(), problems].concat();
    match (reference, columns) {
        (Some(reference), Some(schema)) if problems.is_empty() => Ok(Table {
            spec: Arc::new(spec(&head.name, TableKind::Reference, schema, KeySpec::default(), None)),
            binding: Binding::Reference(reference),
        }),
        (Some(_), None) if problems.is_empty() => Err(vec![
            Problem::new(
                "millstream::reference_unreadable",
                head.name.place,
                format!("the columns of `{}` are not known", head.name.value),
            )
            .help("declare them: CREATE TABLE name (column TYPE, ...)"),
        ]),
        _ => Err(problems),
    }
}

fn unreadable(head: &Head, rebound: bool, why: &str) -> Problem {
    let name = &head.name.value;
    let message = format!("the columns of `{name}` can't be read: {why}");
    let declare = "or declare the columns: CREATE TABLE name (column TYPE, ...)";
    if rebound {
        return Problem::in_setting("millstream::reference_unreadable", format!("tables.{name}"), message)
            .help(format!("mend what it says, {declare}"));
    }
    let place = head.location.as_ref().map_or(head.name.place, |l| l.place);
    let remedy =
        if head.location.is_some() { "put the file there" } else { "make the table there, and name the database in millstream.toml" };
    Problem::new("millstream::reference_unreadable", place, message).help(format!("{remedy}, {declare}"))
}

/// The source's schema with each type as the language knows it.
fn readable(schema: &SchemaRef, head: &Head, settings: &mut Settings) -> Option<SchemaRef> {
    let mut fields = Vec::new();
    for field in schema.fields() {
        match crate::plan::column_type(field.data_type()) {
            Some(data_type) => fields.push(Field::new(field.name(), data_type, field.is_nullable())),
            None => settings.problem(
                Problem::new(
                    "millstream::unsupported_type",
                    head.name.place,
                    format!(
                        "column `{}` of `{}` has type {}, which is not supported yet",
                        field.name(),
                        head.name.value,
                        field.data_type()
                    ),
                )
                .help("declare the columns that you need: CREATE TABLE name (column TYPE, ...)"),
            ),
        }
    }
    (fields.len() == schema.fields().len()).then(|| Arc::new(Schema::new(fields)))
}
