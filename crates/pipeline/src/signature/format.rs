//! How the values of a topic's records are read, as text: what a flow's state was made of, or its rows are.

use arrow::datatypes::Schema;
use millstream_core::decode::ReadFormat;
use millstream_core::decode::avro::AvroSchemas;
use millstream_core::style::{CsvStyle, TimeFormats};

use super::expression::digest;
use crate::graph::Topic;

/// What `topic` with these `columns` says of its format beside the name: the options that are not as they are by default, and of a schema its
/// digest. Empty where there is nothing.
pub(super) fn options(topic: &Topic, columns: &Schema) -> String {
    let mut options = match &topic.format {
        ReadFormat::Json(times) => patterns(times),
        ReadFormat::Csv(csv, times) => [style(csv), patterns(times)].concat(),
        ReadFormat::Avro(AvroSchemas::Registry) => Vec::new(),
        ReadFormat::Avro(AvroSchemas::One(schema)) => vec![format!("schema #{:016x}", digest(schema.text().as_bytes()))],
        ReadFormat::Protobuf { message, defaults } => {
            let names: Vec<&str> = columns.fields().iter().map(|field| field.name().as_str()).collect();
            let fields = format!("message {} #{:016x}", message.name(), digest(message.outline(&names).as_bytes()));
            std::iter::once(fields).chain(defaults.then(|| "emit.default.values true".to_owned())).collect()
        }
    };
    options.extend(topic.corrupt_record.iter().map(|column| format!("columnNameOfCorruptRecord {column}")));
    options.join(", ")
}

fn patterns(times: &TimeFormats) -> Vec<String> {
    let TimeFormats { date, timestamp, timestamp_ntz } = times;
    let named = [("dateFormat", date), ("timestampFormat", timestamp), ("timestampNTZFormat", timestamp_ntz)];
    named.into_iter().filter_map(|(name, pattern)| Some(format!("{name} '{}'", pattern.as_ref()?.text()))).collect()
}

/// `quoteAll` only says how lines are written.
fn style(csv: &CsvStyle) -> Vec<String> {
    let plain = CsvStyle::default();
    let character = |byte: Option<u8>| byte.map(char::from).map(String::from).unwrap_or_default();
    let text = |style: &CsvStyle| {
        [
            ("sep", style.separator.clone()),
            ("quote", character(style.quote)),
            ("escape", character(style.escape)),
            ("nullValue", style.null_value.clone()),
            ("emptyValue", style.empty_value.clone().unwrap_or_else(|| "by default".to_owned())),
            ("nanValue", style.nan.clone()),
            ("positiveInf", style.positive_infinity.clone()),
            ("negativeInf", style.negative_infinity.clone()),
            ("ignoreLeadingWhiteSpace", style.ignores_leading_space.to_string()),
            ("ignoreTrailingWhiteSpace", style.ignores_trailing_space.to_string()),
            ("as written here", style.exact.to_string()),
        ]
    };
    let differing = text(csv).into_iter().zip(text(&plain)).filter(|(own, plain)| own != plain);
    differing.map(|((name, value), _)| format!("{name} '{value}'")).collect()
}
