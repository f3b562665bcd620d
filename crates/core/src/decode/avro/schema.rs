//! Avro schemas (Avro 1.12 specification, "Schema Declaration"): parsed from their JSON, names resolved, a schema that contains itself included.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Fields, TimeUnit};
use serde_json::Value as Json;

use crate::table::timestamp_type;

/// A schema that has been understood.
#[derive(Clone)]
pub struct AvroSchema {
    text: String,
    pub(super) nodes: Vec<Node>,
    pub(super) root: usize,
}

/// A type; those within it are places in [`AvroSchema::nodes`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Node {
    Null,
    Boolean,
    Int,
    Long,
    Float,
    Double,
    Bytes,
    String,
    Fixed(usize),
    Enum(Arc<[String]>),
    Array(usize),
    Map(usize),
    Union(Vec<usize>),
    Record(Vec<(String, usize)>),
    /// `decimal` of a fixed of this size, or of bytes.
    Decimal {
        fixed: Option<usize>,
        precision: u8,
        scale: i8,
    },
    Date,
    /// A timestamp in so many units a second; local: of no zone.
    Timestamp {
        per_second: i64,
        local: bool,
    },
}

impl fmt::Debug for AvroSchema {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl PartialEq for AvroSchema {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for AvroSchema {}

impl AvroSchema {
    /// Understands a schema's JSON; the error says what it can't hold.
    pub fn try_new(text: &str) -> Result<Self, String> {
        let json: Json = match text.trim().trim_matches('"') {
            primitive if primitive.bytes().all(|b| b.is_ascii_alphabetic()) && !primitive.is_empty() => Json::String(primitive.to_owned()),
            _ => serde_json::from_str(text).map_err(|e| format!("it is not JSON: {e}"))?,
        };
        let mut parser = Parser { nodes: Vec::new(), names: HashMap::new() };
        let root = parser.node(&json, "")?;
        Ok(Self { text: json.to_string(), nodes: parser.nodes, root })
    }

    /// The schema as JSON, without the white space between its parts.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    pub(super) fn node(&self, at: usize) -> &Node {
        self.nodes.get(at).unwrap_or(&Node::Null)
    }

    /// The type of the values in SQL, as Spark's schema converter has it, and whether they may be null.
    pub fn data_type(&self) -> Result<(DataType, bool), String> {
        self.type_of(self.root, &mut Vec::new())
    }

    fn type_of(&self, at: usize, path: &mut Vec<usize>) -> Result<(DataType, bool), String> {
        if path.contains(&at) {
            return Err("it contains itself, and a column's type ends somewhere".to_owned());
        }
        path.push(at);
        let data_type = match self.node(at) {
            Node::Null => return Err("a value that is always null has no type".to_owned()),
            Node::Boolean => DataType::Boolean,
            Node::Int => DataType::Int32,
            Node::Long => DataType::Int64,
            Node::Float => DataType::Float32,
            Node::Double => DataType::Float64,
            Node::Bytes | Node::Fixed(_) => DataType::Binary,
            Node::String | Node::Enum(_) => DataType::Utf8,
            Node::Decimal { precision, scale, .. } => DataType::Decimal128(*precision, *scale),
            Node::Date => DataType::Date32,
            Node::Timestamp { local: false, .. } => timestamp_type(),
            Node::Timestamp { local: true, .. } => DataType::Timestamp(TimeUnit::Microsecond, None),
            Node::Array(item) => DataType::List(Arc::new(Field::new("item", self.type_of(*item, path)?.0, true))),
            Node::Map(value) => {
                let value = Field::new("value", self.type_of(*value, path)?.0, true);
                let pair = Fields::from(vec![Field::new("key", DataType::Utf8, false), value]);
                DataType::Map(Arc::new(Field::new("entries", DataType::Struct(pair), false)), false)
            }
            Node::Record(fields) => {
                let field = |(name, at): &(String, usize)| {
                    let (data_type, nullable) = self.type_of(*at, path)?;
                    Ok(Field::new(name, data_type, nullable))
                };
                DataType::Struct(fields.iter().map(field).collect::<Result<_, String>>()?)
            }
            Node::Union(branches) => {
                let values: Vec<usize> = branches.iter().copied().filter(|b| *self.node(*b) != Node::Null).collect();
                let nullable = values.len() < branches.len();
                let types = values.iter().map(|b| Ok(self.type_of(*b, path)?.0)).collect::<Result<Vec<_>, String>>()?;
                path.pop();
                return match types.as_slice() {
                    [one] => Ok((one.clone(), nullable)),
                    [DataType::Int32 | DataType::Int64, DataType::Int32 | DataType::Int64] => Ok((DataType::Int64, nullable)),
                    [DataType::Float32 | DataType::Float64, DataType::Float32 | DataType::Float64] => Ok((DataType::Float64, nullable)),
                    _ => Err("a union of several types is not supported yet".to_owned()),
                };
            }
        };
        path.pop();
        Ok((data_type, false))
    }
}

struct Parser {
    nodes: Vec<Node>,
    names: HashMap<String, usize>,
}

impl Parser {
    fn add(&mut self, node: Node) -> usize {
        self.nodes.push(node);
        self.nodes.len() - 1
    }

    fn node(&mut self, json: &Json, namespace: &str) -> Result<usize, String> {
        match json {
            Json::String(name) => self.named(name, namespace),
            Json::Array(branches) => {
                let branches = branches.iter().map(|b| self.node(b, namespace)).collect::<Result<Vec<_>, _>>()?;
                Ok(self.add(Node::Union(branches)))
            }
            Json::Object(object) => match object.get("type") {
                Some(Json::String(kind)) => self.complex(kind, json, namespace),
                Some(inner) => self.node(inner, namespace),
                None => Err(format!("a type is missing in {json}")),
            },
            other => Err(format!("{other} is no type")),
        }
    }

    fn named(&mut self, name: &str, namespace: &str) -> Result<usize, String> {
        let primitive = match name {
            "null" => Node::Null,
            "boolean" => Node::Boolean,
            "int" => Node::Int,
            "long" => Node::Long,
            "float" => Node::Float,
            "double" => Node::Double,
            "bytes" => Node::Bytes,
            "string" => Node::String,
            _ => {
                let known = self.names.get(&full_name(name, namespace)).or_else(|| self.names.get(name));
                return known.copied().ok_or_else(|| format!("there is no type {name}"));
            }
        };
        Ok(self.add(primitive))
    }

    fn complex(&mut self, kind: &str, json: &Json, namespace: &str) -> Result<usize, String> {
        let text = |key: &str| json.get(key).and_then(Json::as_str);
        match kind {
            "record" | "error" | "enum" | "fixed" => {
                let name = text("name").ok_or_else(|| format!("a {kind} has no name"))?;
                let full = full_name(name, text("namespace").unwrap_or(namespace));
                let own = full.rsplit_once('.').map_or("", |(namespace, _)| namespace).to_owned();
                // Known before what is in it, for it may contain itself.
                let at = self.add(Node::Null);
                self.names.insert(full, at);
                let node = self.defined(kind, name, json, &own)?;
                self.nodes[at] = node;
                Ok(at)
            }
            "array" | "map" => {
                let key = if kind == "array" { "items" } else { "values" };
                let inner = json.get(key).ok_or_else(|| format!("{key} is missing in {json}"))?;
                let inner = self.node(inner, namespace)?;
                Ok(self.add(if kind == "array" { Node::Array(inner) } else { Node::Map(inner) }))
            }
            primitive => {
                let at = self.named(primitive, namespace)?;
                match logical(self.nodes.get(at).unwrap_or(&Node::Null), json) {
                    Some(node) => Ok(self.add(node)),
                    None => Ok(at),
                }
            }
        }
    }

    fn defined(&mut self, kind: &str, name: &str, json: &Json, namespace: &str) -> Result<Node, String> {
        match kind {
            "fixed" => {
                let size = json.get("size").and_then(Json::as_u64).and_then(|s| usize::try_from(s).ok());
                let fixed = Node::Fixed(size.ok_or_else(|| format!("the fixed {name} has no size"))?);
                Ok(logical(&fixed, json).unwrap_or(fixed))
            }
            "enum" => {
                let symbols = json.get("symbols").and_then(Json::as_array).ok_or_else(|| format!("the enum {name} has no symbols"))?;
                let symbols: Option<Vec<String>> = symbols.iter().map(|s| s.as_str().map(str::to_owned)).collect();
                Ok(Node::Enum(symbols.ok_or_else(|| format!("the symbols of the enum {name} are no texts"))?.into()))
            }
            _ => {
                let fields = json.get("fields").and_then(Json::as_array).ok_or_else(|| format!("the record {name} has no fields"))?;
                let mut read = Vec::with_capacity(fields.len());
                for field in fields {
                    let field_name = field.get("name").and_then(Json::as_str).ok_or_else(|| format!("a field of {name} has no name"))?;
                    let field_type = field.get("type").ok_or_else(|| format!("the field {field_name} of {name} has no type"))?;
                    read.push((field_name.to_owned(), self.node(field_type, namespace)?));
                }
                Ok(Node::Record(read))
            }
        }
    }
}

/// What the logical type of `json` makes of a node; one that it doesn't fit, or that nobody knows, means nothing (as the specification says).
fn logical(node: &Node, json: &Json) -> Option<Node> {
    let number = |key: &str| json.get(key).and_then(Json::as_i64);
    let timestamp = |per_second, local| Some(Node::Timestamp { per_second, local });
    match (json.get("logicalType")?.as_str()?, node) {
        ("decimal", Node::Bytes | Node::Fixed(_)) => {
            let precision = u8::try_from(number("precision")?).ok().filter(|p| (1..=38).contains(p))?;
            let scale = i8::try_from(number("scale").unwrap_or(0)).ok().filter(|s| *s >= 0 && s.unsigned_abs() <= precision)?;
            let fixed = if let Node::Fixed(size) = node { Some(*size) } else { None };
            Some(Node::Decimal { fixed, precision, scale })
        }
        ("date", Node::Int) => Some(Node::Date),
        ("timestamp-millis", Node::Long) => timestamp(1_000, false),
        ("timestamp-micros", Node::Long) => timestamp(1_000_000, false),
        ("timestamp-nanos", Node::Long) => timestamp(1_000_000_000, false),
        ("local-timestamp-millis", Node::Long) => timestamp(1_000, true),
        ("local-timestamp-micros", Node::Long) => timestamp(1_000_000, true),
        ("local-timestamp-nanos", Node::Long) => timestamp(1_000_000_000, true),
        _ => None,
    }
}

fn full_name(name: &str, namespace: &str) -> String {
    if name.contains('.') || namespace.is_empty() { name.to_owned() } else { format!("{namespace}.{name}") }
}
