//! How a message becomes the columns of a table, or the fields of a struct: decided once, for a descriptor doesn't change while records are read.

use std::sync::Arc;

use super::descriptor::{Field, Kind, ProtobufMessage, int32};
use super::wire::Wire;
use crate::decode::column::{ColumnType, Member};

/// What a message is read into.
#[derive(Clone, Debug)]
pub(crate) struct MessagePlan {
    /// The fields that are wanted, by number.
    pub fields: Vec<FieldPlan>,
    /// How many parts there are, wanted fields that the message doesn't have included.
    pub width: usize,
}

/// A field that is wanted.
#[derive(Clone, Debug)]
pub(crate) struct FieldPlan {
    pub number: u32,
    /// The part that it becomes.
    pub to: usize,
    pub repeated: bool,
    /// Whether zero is told from nothing.
    pub presence: bool,
    pub packed: bool,
    /// Which `oneof` it is in.
    pub oneof: Option<u64>,
    pub value: Value,
    /// The type of one value.
    pub kind: ColumnType,
    /// What stands for it where it is left out.
    pub zero: Zero,
}

/// How one value is read.
#[derive(Clone, Debug)]
pub(crate) enum Value {
    /// Within these bounds.
    Integer(Number, i64, i64),
    Decimal(Number),
    Bool,
    Float,
    Double,
    Text,
    Bytes,
    Symbol(Arc<[(i32, String)]>),
    Timestamp,
    Message(Box<MessagePlan>, Vec<Member>),
    /// An entry of a map: its key and its value.
    Entry(Box<MessagePlan>),
}

/// How a number stands on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Number {
    Int32,
    Int64,
    UInt32,
    UInt64,
    SInt32,
    SInt64,
    Fixed32,
    Fixed64,
    SFixed32,
    SFixed64,
}

/// What a field is that is left out.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Zero {
    Null,
    Empty,
    Int(i64),
    Double(f64),
    Decimal(i128),
    Text(String),
    NoBytes,
}

impl MessagePlan {
    #[inline]
    pub(crate) fn field(&self, number: u32) -> Option<&FieldPlan> {
        self.fields.binary_search_by_key(&number, |f| f.number).ok().and_then(|at| self.fields.get(at))
    }
}

impl Number {
    #[expect(clippy::cast_possible_truncation, reason = "the wire format cuts 32-bit numbers to their low bits")]
    pub(super) fn read(self, wire: Wire<'_>) -> Option<i128> {
        Some(match (self, wire) {
            (Self::Int32, Wire::Varint(v)) => int32(v).into(),
            (Self::Int64, Wire::Varint(v)) => v.cast_signed().into(),
            (Self::UInt32, Wire::Varint(v)) => (v as u32).into(),
            (Self::UInt64, Wire::Varint(v)) => v.into(),
            (Self::SInt32, Wire::Varint(v)) => {
                let v = v as u32;
                ((v >> 1).cast_signed() ^ -(v & 1).cast_signed()).into()
            }
            (Self::SInt64, Wire::Varint(v)) => ((v >> 1).cast_signed() ^ -(v & 1).cast_signed()).into(),
            (Self::Fixed32, Wire::Fixed32(v)) => v.into(),
            (Self::Fixed64, Wire::Fixed64(v)) => v.into(),
            (Self::SFixed32, Wire::Fixed32(v)) => v.cast_signed().into(),
            (Self::SFixed64, Wire::Fixed64(v)) => v.cast_signed().into(),
            _ => return None,
        })
    }
}

impl Value {
    /// The bytes of a fixed word; `None` of a varint.
    pub(crate) fn word(&self) -> Option<usize> {
        match self {
            Self::Integer(Number::Fixed32 | Number::SFixed32, ..) | Self::Decimal(Number::Fixed32 | Number::SFixed32) | Self::Float => {
                Some(4)
            }
            Self::Integer(Number::Fixed64 | Number::SFixed64, ..) | Self::Decimal(Number::Fixed64 | Number::SFixed64) | Self::Double => {
                Some(8)
            }
            _ => None,
        }
    }

    /// Whether several may stand behind one tag.
    pub(crate) fn is_packable(&self) -> bool {
        matches!(self, Self::Integer(..) | Self::Decimal(_) | Self::Bool | Self::Float | Self::Double | Self::Symbol(_))
    }
}

/// How messages of the type at `at` become `wanted` (name, type, NOT NULL); why they can't.
pub(crate) fn message(
    types: &ProtobufMessage,
    at: usize,
    wanted: &[(&str, &ColumnType, bool)],
    defaults: bool,
) -> Result<MessagePlan, String> {
    let Some(message) = types.messages.get(at) else { return Err("its message type is not in the descriptor".to_owned()) };
    let mut fields = Vec::with_capacity(wanted.len());
    for (to, (name, kind, required)) in wanted.iter().enumerate() {
        match find(&message.fields, name) {
            Some(field) => fields.push(plan(types, field, to, kind, *required, defaults)?),
            None if *required => return Err(format!("{name} is NOT NULL, and the message {} has no such field", message.name)),
            None => {}
        }
    }
    fields.sort_by_key(|f: &FieldPlan| f.number);
    Ok(MessagePlan { fields, width: wanted.len() })
}

/// The field of this name; upper and lower case count only where there are several.
pub(crate) fn find<'f>(fields: &'f [Field], name: &str) -> Option<&'f Field> {
    fields.iter().find(|f| f.name == name).or_else(|| {
        let mut alike = fields.iter().filter(|f| f.name.eq_ignore_ascii_case(name));
        alike.next().filter(|_| alike.next().is_none())
    })
}

fn plan(types: &ProtobufMessage, field: &Field, to: usize, kind: &ColumnType, required: bool, defaults: bool) -> Result<FieldPlan, String> {
    let of = |why: String| format!("field {}: {why}", field.name);
    let entry = match &field.kind {
        Kind::Message(at) if field.repeated => types.messages.get(*at).filter(|m| m.map_entry).map(|_| *at),
        _ => None,
    };
    let (value, kind) = match (entry, kind) {
        (Some(at), ColumnType::Map(key, value)) => {
            // What an entry leaves out is zero, for both are there by what a map is.
            let wanted = [("key", key.as_ref(), true), ("value", value.as_ref(), true)];
            let entry = message_entry(types, at, &wanted).map_err(of)?;
            (Value::Entry(Box::new(entry)), value.as_ref())
        }
        (Some(_), other) => return Err(of(format!("a map can't become {}", other.sql_name()))),
        (None, ColumnType::Array(item)) if field.repeated => (value(types, field, item, defaults).map_err(of)?, item.as_ref()),
        (None, other) if field.repeated => return Err(of(format!("a repeated field can't become {}", other.sql_name()))),
        (None, kind) => (value(types, field, kind, defaults).map_err(of)?, kind),
    };
    let zero = if field.repeated {
        Zero::Empty
    } else {
        match &field.default {
            Some(text) => default(&value, text).ok_or_else(|| of(format!("its default {text} can't be read")))?,
            None if !field.presence && (defaults || required) => zero(&value),
            None => Zero::Null,
        }
    };
    let packed = field.packed && value.is_packable();
    let Field { number, repeated, presence, oneof, .. } = *field;
    Ok(FieldPlan { number, to, repeated, presence, packed, oneof, value, kind: kind.clone(), zero })
}

/// The plan of a map's entry: as of a message, but that a value that is a message is an empty one where it is left out.
fn message_entry(types: &ProtobufMessage, at: usize, wanted: &[(&str, &ColumnType, bool)]) -> Result<MessagePlan, String> {
    let mut plan = message(types, at, wanted, true)?;
    for field in &mut plan.fields {
        if field.zero == Zero::Null {
            field.zero = zero(&field.value);
        }
    }
    Ok(plan)
}

/// How one value of `field` becomes one of `kind`.
fn value(types: &ProtobufMessage, field: &Field, kind: &ColumnType, defaults: bool) -> Result<Value, String> {
    let number = match &field.kind {
        Kind::Int32 | Kind::Enum(_) => Some(Number::Int32),
        Kind::Int64 => Some(Number::Int64),
        Kind::UInt32 => Some(Number::UInt32),
        Kind::UInt64 => Some(Number::UInt64),
        Kind::SInt32 => Some(Number::SInt32),
        Kind::SInt64 => Some(Number::SInt64),
        Kind::Fixed32 => Some(Number::Fixed32),
        Kind::Fixed64 => Some(Number::Fixed64),
        Kind::SFixed32 => Some(Number::SFixed32),
        Kind::SFixed64 => Some(Number::SFixed64),
        _ => None,
    };
    Ok(match (&field.kind, number, kind) {
        (_, Some(number), ColumnType::Integer(min, max)) => Value::Integer(number, *min, *max),
        (_, Some(number), ColumnType::Decimal(20.., 0)) => Value::Decimal(number),
        (Kind::Enum(symbols), _, ColumnType::String) => Value::Symbol(symbols.clone()),
        (Kind::Bool, _, ColumnType::Boolean) => Value::Bool,
        (Kind::Float, _, ColumnType::Float | ColumnType::Double) => Value::Float,
        (Kind::Double, _, ColumnType::Double) => Value::Double,
        (Kind::String, _, ColumnType::String) => Value::Text,
        (Kind::Bytes | Kind::String, _, ColumnType::Binary) => Value::Bytes,
        (Kind::Message(at), _, ColumnType::Timestamp { zoned: true, .. }) if is_timestamp(types, *at) => Value::Timestamp,
        (Kind::Message(at), _, ColumnType::Struct(members)) => {
            let wanted: Vec<_> = members.iter().map(|m| (m.name.as_str(), &m.kind, m.required)).collect();
            Value::Message(Box::new(message(types, *at, &wanted, defaults)?), members.clone())
        }
        (written, _, kind) => return Err(format!("{} can't become {}", word(written), kind.sql_name())),
    })
}

/// Whether a message is Google's timestamp: by its name and its two fields.
fn is_timestamp(types: &ProtobufMessage, at: usize) -> bool {
    let named = |m: &super::descriptor::Message| m.name == "Timestamp" && m.fields.iter().map(|f| f.name.as_str()).eq(["seconds", "nanos"]);
    types.messages.get(at).is_some_and(named)
}

fn zero(value: &Value) -> Zero {
    match value {
        Value::Integer(..) | Value::Bool => Zero::Int(0),
        Value::Decimal(_) => Zero::Decimal(0),
        Value::Float | Value::Double => Zero::Double(0.0),
        Value::Text => Zero::Text(String::new()),
        Value::Bytes => Zero::NoBytes,
        Value::Symbol(symbols) => Zero::Text(symbols.iter().find(|(n, _)| *n == 0).map_or_else(|| "0".to_owned(), |(_, s)| s.clone())),
        Value::Timestamp | Value::Message(..) | Value::Entry(_) => Zero::Null,
    }
}

/// proto2's default, as a descriptor writes it.
fn default(value: &Value, text: &str) -> Option<Zero> {
    Some(match value {
        Value::Integer(_, min, max) => Zero::Int(text.parse().ok().filter(|v| (*min..=*max).contains(v))?),
        Value::Decimal(_) => Zero::Decimal(text.parse().ok()?),
        Value::Bool => Zero::Int((text == "true").into()),
        Value::Float | Value::Double => Zero::Double(text.parse().ok()?),
        Value::Text | Value::Symbol(_) => Zero::Text(text.to_owned()),
        Value::Bytes if text.is_empty() => Zero::NoBytes,
        _ => return None,
    })
}

pub(crate) fn word(kind: &Kind) -> &'static str {
    match kind {
        Kind::Double => "double",
        Kind::Float => "float",
        Kind::Int64 => "int64",
        Kind::UInt64 => "uint64",
        Kind::Int32 => "int32",
        Kind::Fixed64 => "fixed64",
        Kind::Fixed32 => "fixed32",
        Kind::Bool => "bool",
        Kind::String => "string",
        Kind::Bytes => "bytes",
        Kind::UInt32 => "uint32",
        Kind::SFixed32 => "sfixed32",
        Kind::SFixed64 => "sfixed64",
        Kind::SInt32 => "sint32",
        Kind::SInt64 => "sint64",
        Kind::Enum(_) => "an enum",
        Kind::Message(_) => "a message",
        Kind::Group => "a group",
    }
}
