//! `value.format` of topics, and the options of each format: Spark's names, Spark's defaults.

use std::path::{Path, PathBuf};

use arrow::datatypes::DataType;
use millstream_core::decode::ReadFormat;
use millstream_core::decode::avro::{AvroSchema, AvroSchemas};
use millstream_core::decode::protobuf::ProtobufMessage;
use millstream_core::pattern::TimePattern;
use millstream_core::ports::ValueFormat;
use millstream_core::style::{CsvStyle, TimeFormats};

use super::settings::Settings;
use super::tables::missing;
use crate::diagnostic::{Problem, Sources};
use crate::graph::ParseMode;
use crate::parsed::Parsed;
use crate::suggest;
use crate::syntax::statement::{Column, Head, Name};

/// Spark's name of the column for corrupt records, where no option gives another.
const CORRUPT_RECORD: &str = "_corrupt_record";

/// Options that name a file.
const FILE_OPTIONS: [&str; 2] = ["avroSchemaFile", "descriptor"];

/// How the values of a topic that producers write become rows.
#[derive(Default)]
pub(super) struct Values {
    pub(super) format: ReadFormat,
    pub(super) mode: ParseMode,
    pub(super) corrupt_record: Option<String>,
}

/// How the rows of a topic that flows write become values, and those rows again.
pub(super) struct WrittenValues {
    pub(super) format: ValueFormat,
    pub(super) read: ReadFormat,
}

/// `value.format` and its options, of a topic that producers write.
pub(super) fn values(parsed: &Parsed, file: usize, head: &Head, settings: &mut Settings) -> Values {
    let (table, columns) = (&head.name, head.columns.as_deref().unwrap_or_default());
    let mode = parse_mode(settings);
    let Some(written) = settings.take("value.format") else {
        settings.problem(missing(table, "value.format", "how its values are written", "OPTIONS (subscribe '...', value.format 'json')"));
        return Values { mode, ..Values::default() };
    };
    let format = match written.value.to_lowercase().as_str() {
        "json" => ReadFormat::Json(time_formats(Use::Reads, settings)),
        "csv" => {
            let style = csv_style(Use::Reads, settings);
            refuse_nested(columns, settings);
            ReadFormat::Csv(style, time_formats(Use::Reads, settings))
        }
        "avro" => {
            let schemas = avro_schemas(parsed, file, written, settings);
            return Values { format: schemas.map(ReadFormat::Avro).unwrap_or_default(), mode, corrupt_record: None };
        }
        "protobuf" => {
            const FORM: &str = "OPTIONS (subscribe '...', value.format 'protobuf', descriptor 'flights.desc', message 'Flight')";
            let message = protobuf_message(parsed, file, table, FORM, settings);
            let defaults = flag("emit.default.values", settings);
            let format = message.map(|message| ReadFormat::Protobuf { message: Box::new(message), defaults });
            return Values { format: format.unwrap_or_default(), mode, corrupt_record: None };
        }
        _ => {
            settings.bad(written, "value.format", "it is 'json', 'csv', 'avro' or 'protobuf'", "json");
            ReadFormat::default()
        }
    };
    let corrupt_record = corrupt_record(mode, columns, settings);
    Values { format, mode, corrupt_record }
}

/// `value.format` and its options, of a topic that flows write; `form` is how they are written.
pub(super) fn written(parsed: &Parsed, table: &Name, form: &str, settings: &mut Settings) -> WrittenValues {
    let json = WrittenValues { format: ValueFormat::Json, read: ReadFormat::default() };
    let Some(written) = settings.take("value.format") else {
        settings.problem(missing(table, "value.format", "how its values are written", form));
        return json;
    };
    match written.value.to_lowercase().as_str() {
        "json" => WrittenValues { read: ReadFormat::Json(time_formats(Use::Writes, settings)), ..json },
        "csv" => {
            let style = CsvStyle { exact: true, ..csv_style(Use::Writes, settings) };
            WrittenValues { format: ValueFormat::Csv, read: ReadFormat::Csv(style, time_formats(Use::Writes, settings)) }
        }
        "avro" => WrittenValues { format: ValueFormat::Avro, ..json },
        "protobuf" => {
            const FORM: &str =
                "TBLPROPERTIES ('topic' = '...', 'value.format' = 'protobuf', 'descriptor' = 'flights.desc', 'message' = 'Flight')";
            let message = protobuf_message(parsed, table.place.file, table, FORM, settings).map(Box::new);
            message.map_or(json, |message| WrittenValues {
                format: ValueFormat::Protobuf(message.clone()),
                read: ReadFormat::Protobuf { message, defaults: false },
            })
        }
        _ => {
            settings.bad(written, "value.format", "it is 'json', 'csv', 'avro' or 'protobuf'", "json");
            json
        }
    }
}

/// The files that a topic's options name, by path.
pub(crate) fn files(sources: &Sources, file: usize, head: &Head) -> Vec<String> {
    let named =
        head.options.iter().chain(&head.properties).filter(|o| FILE_OPTIONS.iter().any(|key| o.key.value.eq_ignore_ascii_case(key)));
    named.map(|option| path(sources, file, &option.value.value)).collect()
}

/// A path that counts from the folder of the `.sql` file.
fn path(sources: &Sources, file: usize, written: &str) -> String {
    let folder = Path::new(sources.name(file)).parent().map_or_else(PathBuf::new, Path::to_path_buf);
    folder.join(written).to_string_lossy().into_owned()
}

/// What is in the file that `key` names.
fn contents<'p>(parsed: &'p Parsed, file: usize, key: &'static str, written: &Name, settings: &mut Settings) -> Option<&'p [u8]> {
    let path = path(&parsed.sources, file, &written.value);
    let example = if key == FILE_OPTIONS[0] { "schemas/flight.avsc" } else { "schemas/flight.desc" };
    match parsed.surroundings.files.get(&path) {
        Some(Ok(bytes)) => Some(bytes),
        Some(Err(why)) => {
            settings.bad(written, key, &format!("the file {path} can't be read: {why}"), example);
            None
        }
        None => {
            settings.bad(written, key, &format!("the file {path} was not read"), example);
            None
        }
    }
}

/// `avroSchemaFile`, or the registry.
fn avro_schemas(parsed: &Parsed, file: usize, format: &Name, settings: &mut Settings) -> Option<AvroSchemas> {
    const KEY: &str = FILE_OPTIONS[0];
    let Some(written) = settings.take(KEY) else {
        if parsed.surroundings.schema_registry {
            return Some(AvroSchemas::Registry);
        }
        let problem = Problem::new("millstream::missing_option", format.place, "nothing says by which Avro schemas the values are written");
        settings.problem(problem.help(
            "configure [schema_registry] in millstream.toml; or, where all values are of one schema and nothing stands before them, write              avroSchemaFile 'flight.avsc'",
        ));
        return None;
    };
    let text = String::from_utf8_lossy(contents(parsed, file, KEY, written, settings)?);
    match AvroSchema::try_new(&text) {
        Ok(schema) => Some(AvroSchemas::One(Box::new(schema))),
        Err(why) => {
            settings.bad(written, KEY, &format!("the file holds no Avro schema: {why}"), "schemas/flight.avsc");
            None
        }
    }
}

/// `descriptor` and `message`.
fn protobuf_message(parsed: &Parsed, file: usize, table: &Name, form: &str, settings: &mut Settings) -> Option<ProtobufMessage> {
    const KEY: &str = FILE_OPTIONS[1];
    let (descriptor, message) = (settings.take(KEY), settings.take("message"));
    if descriptor.is_none() {
        settings.problem(missing(table, KEY, "in which descriptor file its message is", form));
    }
    if message.is_none() {
        settings.problem(missing(table, "message", "which message its values are", form));
    }
    let (descriptor, message) = (descriptor?, message?);
    match ProtobufMessage::try_new(contents(parsed, file, KEY, descriptor, settings)?, &message.value) {
        Ok(message) => Some(message),
        Err(why) => {
            settings.bad(message, "message", &format!("in the descriptor file: {why}"), "Flight");
            None
        }
    }
}

/// Whether a topic's values come in or go out.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Use {
    Reads,
    Writes,
}

fn parse_mode(settings: &mut Settings) -> ParseMode {
    let Some(mode) = settings.take("mode") else { return ParseMode::DeadLetter };
    match mode.value.to_lowercase().as_str() {
        "permissive" => return ParseMode::Permissive,
        "dead_letter" | "dead_letters" => {}
        "failfast" | "dropmalformed" => settings.bad(mode, "mode", "one bad event neither stops a pipeline nor disappears", "dead_letter"),
        _ => settings.bad(mode, "mode", "it is 'dead_letter' or 'permissive'", "permissive"),
    }
    ParseMode::DeadLetter
}

/// The column for corrupt records: the one that is named, or Spark's where it is declared.
fn corrupt_record(mode: ParseMode, columns: &[Column], settings: &mut Settings) -> Option<String> {
    const KEY: &str = "columnNameOfCorruptRecord";
    let Some(named) = settings.take(KEY) else {
        let fits = |c: &&Column| c.name.value == CORRUPT_RECORD && c.data_type == DataType::Utf8 && c.nullable;
        return columns.iter().find(fits).filter(|_| mode == ParseMode::Permissive).map(|c| c.name.value.clone());
    };
    if mode != ParseMode::Permissive {
        let message = format!("'{KEY}' is for mode 'permissive': without it, a corrupt record is no row, but in system.dead_letters");
        settings.problem(Problem::new("millstream::bad_option", named.place, message).help("write mode 'permissive', or take it out"));
        return None;
    }
    match columns.iter().find(|c| c.name.value == named.value) {
        Some(column) if column.data_type == DataType::Utf8 && column.nullable => return Some(named.value.clone()),
        Some(_) => settings.bad(named, KEY, "that column is not a STRING that may be null", CORRUPT_RECORD),
        None => {
            let names = || columns.iter().map(|c| c.name.value.as_str());
            let message = format!("there is no column `{}` for corrupt records", named.value);
            let declare = format!("declare it: {} STRING; the columns are {}", named.value, suggest::list(names()));
            settings.problem(Problem::new("millstream::unknown_column", named.place, message).help(suggest::did_you_mean(
                &named.value,
                names(),
                &declare,
            )));
        }
    }
    None
}

fn refuse_nested(columns: &[Column], settings: &mut Settings) {
    for column in columns.iter().filter(|c| c.data_type.is_nested()) {
        let message = format!("column `{}` is nested, and a line of CSV holds plain values only", column.name.value);
        settings
            .problem(Problem::new("millstream::unsupported_type", column.name.place, message).help("write STRING, or value.format 'json'"));
    }
}

/// `dateFormat`, `timestampFormat` and `timestampNTZFormat`.
fn time_formats(usage: Use, settings: &mut Settings) -> TimeFormats {
    TimeFormats {
        date: pattern("dateFormat", "yyyy-MM-dd", usage, settings),
        timestamp: pattern("timestampFormat", "yyyy-MM-dd HH:mm:ss", usage, settings),
        timestamp_ntz: pattern("timestampNTZFormat", "yyyy-MM-dd HH:mm:ss", usage, settings),
    }
}

fn pattern(key: &'static str, example: &str, usage: Use, settings: &mut Settings) -> Option<TimePattern> {
    let written = settings.take(key)?;
    let pattern = match TimePattern::try_new(&written.value) {
        Ok(pattern) => pattern,
        Err(why) => {
            settings.bad(written, key, &why, example);
            return None;
        }
    };
    let why = match usage {
        _ if !pattern.can_read() => "the name of a day can't be read",
        Use::Writes if key == "dateFormat" && pattern.needs_time() => "a DATE has no time of day",
        Use::Writes if key == "timestampNTZFormat" && pattern.needs_zone() => "a TIMESTAMP_NTZ has no zone",
        _ => return Some(pattern),
    };
    settings.bad(written, key, why, example);
    None
}

/// The options of CSV.
fn csv_style(usage: Use, settings: &mut Settings) -> CsvStyle {
    let mut style = CsvStyle::default();
    if let Some(separator) = settings.take("sep").or_else(|| settings.take("delimiter")) {
        if separator.value.is_empty() || separator.value.contains(['\n', '\r']) {
            settings.bad(separator, "sep", "something on the line has to stand between two values", ",");
        }
        style.separator.clone_from(&separator.value);
    }
    style.quote = character("quote", style.quote, usage, settings);
    style.escape = character("escape", style.escape, usage, settings);
    let text = |key: &'static str, settings: &mut Settings| settings.take(key).map(|written| written.value.clone());
    style.null_value = text("nullValue", settings).unwrap_or(style.null_value);
    style.empty_value = text("emptyValue", settings);
    if usage == Use::Writes {
        style.quotes_all = flag("quoteAll", settings);
    } else {
        style.nan = text("nanValue", settings).unwrap_or(style.nan);
        style.positive_infinity = text("positiveInf", settings).unwrap_or(style.positive_infinity);
        style.negative_infinity = text("negativeInf", settings).unwrap_or(style.negative_infinity);
        style.ignores_leading_space = flag("ignoreLeadingWhiteSpace", settings);
        style.ignores_trailing_space = flag("ignoreTrailingWhiteSpace", settings);
    }
    if let Some(header) = settings.take("header") {
        let problem = Problem::new("millstream::bad_option", header.place, "a record of a topic is one line, and no line is a header");
        settings.problem(problem.help("take 'header' out"));
    }
    for key in ["encoding", "charset"] {
        if let Some(written) = settings.take(key)
            && !written.value.eq_ignore_ascii_case("utf-8")
        {
            settings.bad(written, key, "records are read and written as UTF-8", "UTF-8");
        }
    }
    style
}

/// An option that is one character; nothing switches it off, which only a reader can do without.
fn character(key: &'static str, default: Option<u8>, usage: Use, settings: &mut Settings) -> Option<u8> {
    let Some(written) = settings.take(key) else { return default };
    let example = if key == "quote" { "\"" } else { "\\" };
    match written.value.as_bytes() {
        [] if usage == Use::Reads => return None,
        [] => settings.bad(written, key, "without it some values could not be read again", example),
        [byte] if byte.is_ascii() && !byte.is_ascii_alphanumeric() && !matches!(byte, b'\n' | b'\r') => return Some(*byte),
        _ => settings.bad(written, key, "it is one character of ASCII, no letter or digit", example),
    }
    default
}

fn flag(key: &'static str, settings: &mut Settings) -> bool {
    let Some(written) = settings.take(key) else { return false };
    match written.value.to_lowercase().as_str() {
        "true" => return true,
        "false" => {}
        _ => settings.bad(written, key, "it is 'true' or 'false'", "true"),
    }
    false
}
